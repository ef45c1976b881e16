//! The steps that are delayed, as `tests/hunt/delays` has them.
use anyhow::{Context as _, Result, bail};

use super::steps::Step;

/// Reads functions, one in each line, below `late: TIMES` and `loads: LOADS`.
///
/// # Errors
/// A line that is none of these, or a function before them.
pub fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let (mut acts, mut loads) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(": ") {
            Some(("late", times)) => {
                let times: Result<_, _> = times.split(' ').map(str::parse).collect();
                acts = times.with_context(|| format!("no times: {line}"))?;
            }
            Some(("loads", names)) => loads = names.split(' ').map(str::to_owned).collect(),
            None if !line.contains(' ') && !acts.is_empty() && !loads.is_empty() => {
                steps.push(Step::late(line, &acts, &loads));
            }
            _ => bail!("what is {line}?"),
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::act::Act;

    #[test]
    fn every_delay_of_the_repository_is_read_and_has_its_loads() {
        let steps = parse(include_str!("../../../tests/hunt/delays")).unwrap();
        assert!(steps.len() > 80, "{}", steps.len());
        let loads = include_str!("../../../tests/hunt/loads.sh");
        for step in &steps {
            assert!(step.acts.iter().all(|act| matches!(act, Act::Late(_))), "{}", step.name);
            assert!(
                step.loads.iter().all(|load| loads.contains(&format!("\nload_{load}()"))),
                "{}",
                step.name
            );
        }
        let mut names: Vec<_> = steps.iter().map(|step| &step.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), steps.len());
    }

    #[test]
    fn a_function_without_times_or_loads_is_refused() {
        assert!(parse("f\n").is_err() && parse("late: x\n").is_err() && parse("late: 1ms\nf\n").is_err());
        assert_eq!(parse("late: 1ms\nloads: a\nf\n").unwrap().len(), 1);
    }
}
