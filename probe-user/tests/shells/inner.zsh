# Read by the interactive zsh: our completions, and tab lists them in $OUT. $FUNCTIONS: functions of zsh, empty for those it knows.
[[ -n $MODULES ]] && module_path=($MODULES)
[[ -n $FUNCTIONS ]] && fpath=($FUNCTIONS $FUNCTIONS/*(/) $FUNCTIONS/Completion/*(/))
autoload -Uz compinit
compinit -u -D
source $COMPLETIONS

# All that completes ends in the builtin; with -O, -A or -D it only sorts words out.
compadd() {
  local -a found
  local -i sorts=${@[(i)-[OAD]]} dash=${@[(i)(-|--)]}
  if (( sorts > dash || sorts > $# )); then
    builtin compadd -A found "$@"
    (( $#found )) && print -rl -- $found >> $OUT
  fi
  builtin compadd "$@"
}

tell() {
  zle list-choices
  print -r '#done' >> $OUT
}
zle -N tell
bindkey '^I' tell
