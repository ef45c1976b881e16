# Writes to $OUT what an interactive zsh offers for the last of the words typed. $MODULES: its modules, empty for those of the shell itself.
emulate -R zsh
[[ -n $MODULES ]] && module_path=($MODULES)
zmodload zsh/zpty || exit 9

# The inner shell says what it has done in the same file; a minute is for machines that are busy.
wait_for() {
  repeat 6000; do
    [[ -n ${(M)${(f)"$(<$OUT)"}:#$1} ]] && return
    sleep 0.01
  done
  exit 8
}

zpty -b inner "${(q)SHELL_PROGRAM} -f -i"
zpty -w inner "source ${(q)INNER}; print -r '#ready' >> ${(q)OUT}"
wait_for '#ready'
zpty -w -n inner "$1"$'\t'
wait_for '#done'
zpty -d inner
