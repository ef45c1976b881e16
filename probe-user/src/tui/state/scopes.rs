//! Which scopes of keys are active now.
use super::app::App;
use crate::tui::{keys::Scope, page::Page};

impl App {
    /// The scopes that hold now, for the keys.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        if self.prompt.is_some() {
            return vec![Scope::Prompt];
        }
        let mut scopes = vec![Scope::Everywhere, Scope::List];
        if self.help.is_none() {
            match self.page {
                Page::Inodes if self.open_inode.is_some() => scopes.push(Scope::Inode),
                Page::Inodes => scopes.extend([Scope::Table, Scope::Filtered]),
                Page::Pools => scopes.push(Scope::Pools),
                Page::Findings if self.open_finding.is_none() => {
                    scopes.extend([Scope::Table, Scope::Filtered])
                }
                Page::Failures if self.open_failure.is_none() => {
                    scopes.extend([Scope::Table, Scope::Failures])
                }
                Page::Failures => scopes.push(Scope::Failures),
                Page::Tests => scopes.push(Scope::Table),
                Page::Findings | Page::Health => {}
            }
        }
        if self.replay {
            scopes.push(Scope::Replay);
        }
        scopes
    }
}
