//! Pseudonyms: the same name has the same one wherever it stands in a bundle.
use std::collections::BTreeMap;

/// Names that were met, and what stands for each.
#[derive(Clone, Debug, Default)]
pub struct Pseudonyms {
    by_name: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, u32>,
    /// What sentences may say, and what they say instead. By the first character, longest first.
    said: BTreeMap<char, Vec<(String, String)>>,
}

impl Pseudonyms {
    fn of(&mut self, class: &'static str, name: &str) -> String {
        if name.is_empty() {
            return String::new();
        }
        if let Some(known) = self.by_name.get(name) {
            return known.clone();
        }
        let count = self.counts.entry(class).or_default();
        *count += 1;
        let pseudonym = format!("{class}-{count}");
        self.by_name.insert(name.to_owned(), pseudonym.clone());
        self.said_as(name, &pseudonym);
        pseudonym
    }

    /// Sentences may say `name`.
    fn said_as(&mut self, name: &str, pseudonym: &str) {
        let Some(first) = name.chars().next().filter(|_| name != pseudonym) else { return };
        let list = self.said.entry(first).or_default();
        if let Err(at) = list.binary_search_by(|(known, _)| {
            name.len().cmp(&known.len()).then_with(|| known.as_str().cmp(name))
        }) {
            list.insert(at, (name.to_owned(), pseudonym.to_owned()));
        }
    }

    /// A block device: `sda1`, `/dev/sda1`, `mapper/home`. The kernel's word for none (`<unknown>`) stays.
    pub fn device(&mut self, name: &str) -> String {
        if name.starts_with('<') && name.ends_with('>') {
            return name.to_owned();
        }
        match name.strip_prefix("/dev/") {
            Some(name) => format!("/dev/{}", self.of("device", name)),
            None => self.of("device", name),
        }
    }

    /// A path, relative or not: each part has a pseudonym of its own.
    pub fn path(&mut self, path: &str) -> String {
        let parts: Vec<String> = path.split('/').map(|part| self.file(part)).collect();
        let pseudonym = parts.join("/");
        self.said_as(path, &pseudonym);
        pseudonym
    }

    /// One part of a path.
    pub fn file(&mut self, name: &str) -> String {
        match name {
            "" | "." | ".." | "…" | "..." => name.to_owned(),
            _ => self.of("name", name),
        }
    }

    /// Label of a filesystem.
    pub fn label(&mut self, label: &str) -> String {
        self.of("label", label)
    }

    /// Name of the machine.
    pub fn host(&mut self, host: &str) -> String {
        self.of("host", host)
    }

    /// A whole command line: what a program is asked to do names files, and sometimes passwords.
    pub fn command(&mut self, words: &[String]) -> Vec<String> {
        if words.is_empty() {
            return Vec::new();
        }
        vec![self.of("command", &words.join(" "))]
    }

    /// `comm` of a thread, at most 15 bytes. Those of kernel threads stay. What the books take for one by its first letters, they
    /// shall take for one afterwards.
    pub fn task(&mut self, comm: &str) -> String {
        if comm.is_empty() || is_kernel_thread(comm) {
            return comm.to_owned();
        }
        let class = ["kworker/", "btrfs-"].into_iter().find(|class| comm.starts_with(class));
        match class {
            Some(class) => {
                let pseudonym = format!("{class}{}", self.of("task", comm).replace("task-", "t"));
                self.said_as(comm, &pseudonym);
                pseudonym
            }
            None => self.of("task", comm),
        }
    }

    /// Another word that a user chose.
    pub fn word(&mut self, word: &str) -> String {
        self.of("word", word)
    }

    /// A sentence with pseudonyms in place of all names that are known by now.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = None;
        while let Some(first) = rest.chars().next() {
            let found = self.said.get(&first).filter(|_| !before.is_some_and(is_of_word)).and_then(|list| {
                list.iter().find(|(name, _)| {
                    rest.strip_prefix(name.as_str())
                        .is_some_and(|after| !after.chars().next().is_some_and(is_of_word))
                })
            });
            let (taken, instead) = match found {
                Some((name, pseudonym)) => (name.as_str(), pseudonym.as_str()),
                None => (&rest[..first.len_utf8()], &rest[..first.len_utf8()]),
            };
            out.push_str(instead);
            before = taken.chars().next_back();
            rest = &rest[taken.len()..];
        }
        out
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Names that only threads of the kernel have by themselves. What looks like one and is not exactly of its form is the name of a program.
fn is_kernel_thread(comm: &str) -> bool {
    const NAMES: [&str; 13] = [
        "btrfs-cleaner",
        "btrfs-transacti",
        "btrfs-balance",
        "btrfs-uuid",
        "btrfs-devrepl",
        "btrfs-uuid-scan",
        "kthreadd",
        "khugepaged",
        "oom_reaper",
        "rcu_preempt",
        "rcu_sched",
        "kdevtmpfs",
        "watchdogd",
    ];
    const NUMBERED: [&str; 7] =
        ["kswapd", "kcompactd", "ksoftirqd/", "migration/", "swapper/", "loop", "cpuhp/"];
    if NAMES.contains(&comm) {
        return true;
    }
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if NUMBERED.iter().any(|prefix| comm.strip_prefix(prefix).is_some_and(numbered)) {
        return true;
    }
    // `format_worker_id()`, kernel/workqueue.c: `kworker/1:2H`, `kworker/u8:3`, `kworker/R-btrfs-` (a rescuer, of any name, is not one
    // here). What it works on may follow.
    comm.strip_prefix("kworker/").is_some_and(|rest| {
        let id = rest.split(['+', '-']).next().unwrap_or_default();
        let work = &rest[id.len()..];
        let id = id.trim_start_matches('u').trim_end_matches('H');
        let kernels_own =
            work.is_empty() || work[1..].starts_with("btrfs") || "btrfs".starts_with(&work[1..]);
        kernels_own && id.split_once(':').is_some_and(|(cpu, nr)| numbered(cpu) && numbered(nr))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_the_same_pseudonym_everywhere() {
        let mut names = Pseudonyms::default();
        assert_eq!(names.path("/home/ann/tax/2025"), "/name-1/name-2/name-3/name-4");
        assert_eq!(names.path("/home/bob"), "/name-1/name-5");
        assert_eq!(names.path("tax"), "name-3");
        assert_eq!(names.path("/"), "/");
        assert_eq!(
            (names.device("/dev/sda1"), names.device("sda1")),
            ("/dev/device-1".into(), "device-1".into())
        );
        assert_eq!(names.device("<unknown>"), "<unknown>");
        assert_eq!((names.task("tax-tool"), names.task("tax-tool")), ("task-1".into(), "task-1".into()));
    }

    #[test]
    fn sentences_lose_whole_names_only() {
        let mut names = Pseudonyms::default();
        names.task("dd");
        names.path("/mnt/tax");
        names.path("/mnt");
        names.device("sda");
        let said = "dd (pid 7) wrote /mnt/tax/x and (/mnt/tax) on sda, sda1 and _sda; add dd.";
        let told = "task-1 (pid 7) wrote /name-1/name-2/x and (/name-1/name-2) on device-1, sda1 and _sda; add task-1.";
        assert_eq!(names.text(said), told);
        assert_eq!(names.text("nöthing – here"), "nöthing – here");
    }

    #[test]
    fn threads_of_the_kernel_keep_their_names_and_imitations_do_not() {
        let mut names = Pseudonyms::default();
        for kernel in
            ["kworker/u8:1", "kworker/0:1H", "kworker/u9:2+bt", "btrfs-transacti", "kswapd0", "loop12"]
        {
            assert_eq!(names.task(kernel), kernel);
        }
        for program in
            ["kworker/secret", "btrfs-secret", "loopy", "kswapd", "kworker/1:secret", "kworker/1:1-sec"]
        {
            let pseudonym = names.task(program);
            assert!(!pseudonym.contains("sec") && pseudonym != program, "{pseudonym}");
            assert!(pseudonym.len() < 16, "{pseudonym}");
            for class in ["kworker/", "btrfs-"] {
                assert_eq!(pseudonym.starts_with(class), program.starts_with(class), "{pseudonym}");
            }
        }
    }
}
