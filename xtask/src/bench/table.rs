//! The table of results, as text and as JSON.
use std::{fs, thread};

use serde_json::{Value, json};

use super::{
    numbers::{Series, median, range},
    programs::Table,
    workload::Workload,
};

/// The comparison under one workload. The first series is the untraced one.
pub fn print(workload: Workload, series: &[Series]) {
    let Some(untraced) = series.first() else { return };
    println!(
        "\n{:<14} {:>10} {:>9} {:>15} {:>8} {:>9}",
        workload.name(),
        "ns/op",
        "slowdown",
        "range",
        "cpu",
        "lost"
    );
    for one in series {
        let ratios = one.ratios(untraced);
        println!(
            "{:<14} {:>10} {:>9} {:>15} {:>8} {:>9}  {}",
            one.variant.name,
            or_dash(median(&one.ns_per_op), |ns| format!("{ns:.0}")),
            or_dash(median(&ratios), |ratio| format!("{ratio:.3}")),
            or_dash(range(&ratios), |(low, high)| format!("{low:.3}-{high:.3}")),
            or_dash(median(&one.cpu), |cpu| format!("{:.1} %", cpu * 100.0)),
            or_dash(one.lost, |lost| lost.to_string()),
            one.why_not.as_deref().map(|why| format!("not run: {why}")).unwrap_or_default(),
        );
    }
}

fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// Every run, and the medians.
pub fn json(results: &[(Workload, Vec<Series>, Vec<Table>)], rounds: u32) -> Value {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let workloads: Vec<Value> = results
        .iter()
        .map(|(workload, series, programs)| {
            let variants: Vec<Value> = series.iter().map(|one| variant(one, &series[0])).collect();
            let programs: Vec<Value> = programs.iter().map(Table::json).collect();
            json!({ "workload": workload.name(), "variants": variants, "programs": programs })
        })
        .collect();
    json!({
        "kernel": kernel.trim(),
        "cpus": thread::available_parallelism().map(usize::from).ok(),
        "rounds": rounds,
        "workloads": workloads,
    })
}

fn variant(one: &Series, untraced: &Series) -> Value {
    let Series { variant, ns_per_op, cpu, lost, why_not } = one;
    let ratios = one.ratios(untraced);
    json!({
        "variant": variant.name,
        "ns_per_op": ns_per_op,
        "ns_per_op_median": median(ns_per_op),
        "slowdown": ratios,
        "slowdown_median": median(&ratios),
        "tracer_cpu": cpu,
        "tracer_cpu_median": median(cpu),
        "lost": lost,
        "not_run": why_not,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::variant::ALL, *};

    #[test]
    fn a_variant_that_did_not_run_says_why_and_has_no_numbers() {
        let mut untraced = Series::of(&ALL[0]);
        untraced.push(100.0, None);
        let mut absent = Series::of(&ALL[3]);
        absent.why_not = Some("trace-cmd is not installed".to_owned());
        let json = json(&[(Workload::W1, vec![untraced, absent], Vec::new())], 1);
        let variants = &json["workloads"][0]["variants"];
        assert_eq!(variants[0]["slowdown_median"], 1.0);
        assert_eq!(variants[1]["slowdown_median"], Value::Null);
        assert_eq!(variants[1]["not_run"], "trace-cmd is not installed");
    }
}
