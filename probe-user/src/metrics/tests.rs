//! The text, the table and its page, the file and the server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use super::{parse::samples, *};

#[test]
fn names_are_as_prometheus_wants_them() {
    let mut names = BTreeSet::new();
    for metric in ALL {
        assert!(names.insert(metric.name), "{} twice", metric.name);
        assert!(!metric.name.ends_with("_total"), "{}", metric.name);
        assert!(
            metric.unit.is_empty() || metric.name.ends_with(&format!("_{}", metric.unit)),
            "{}",
            metric.name
        );
        assert!(metric.name.ends_with("_bytes") == (metric.unit == "bytes"), "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.name);
    }
}

/// The page has a row for each metric, with its type, labels and help.
#[test]
fn the_page_has_the_same_table() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `btrfs_probe_")).collect();
    let expected: Vec<String> = ALL
        .iter()
        .map(|metric| {
            let suffix = if metric.kind == Kind::Counter { "_total" } else { "" };
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!(
                "| `{}{suffix}` | {} | {} | {} |",
                metric.name,
                metric.kind.name(),
                labels.join(", "),
                metric.help
            )
        })
        .collect();
    assert_eq!(rows, expected, "\n{}\n", expected.join("\n"));
}

#[test]
fn odd_names_are_escaped_and_unknown_metrics_left_out() {
    let mut out = Exposition::default();
    out.add("filesystem_info", &["u\"u", "a\\b\n\u{1b}[2J"], 1);
    out.add("commits", &["x"], 7);
    out.add("no_such_metric", &[], 1);
    let text = out.finish();
    let read = samples(&text);
    assert_eq!(read.len(), 2, "{text}");
    assert_eq!(read["btrfs_probe_commits_total{filesystem=\"x\"}"], 7.0);
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_eq!(samples(&Exposition::default().finish()).len(), 0);
}

#[test]
fn a_histogram_counts_what_is_no_longer_than_its_bound() {
    let mut out = Exposition::default();
    out.add_histogram(
        "ticket_wait_seconds",
        &["x"],
        &[(1 << 10, 2), (1 << 12, 3), (u64::MAX, 4)],
        5_000_000_001,
    );
    let read = samples(&out.finish());
    let of = |rest: &str| read[&format!("btrfs_probe_ticket_wait_seconds{rest}")];
    assert_eq!(of("_bucket{filesystem=\"x\",le=\"0.000001024\"}"), 2.0);
    assert_eq!(of("_bucket{filesystem=\"x\",le=\"0.000004096\"}"), 5.0);
    assert_eq!(of("_bucket{filesystem=\"x\",le=\"+Inf\"}"), 9.0);
    assert_eq!((of("_count{filesystem=\"x\"}"), of("_sum{filesystem=\"x\"}")), (9.0, 5.000_000_001));
}

#[test]
fn the_last_text_is_in_the_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("btrfs.prom");
    let writer = FileWriter::start(path.clone()).unwrap();
    for number in 0..100 {
        writer.put(Arc::from(format!("{number}\n")));
    }
    writer.close();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "99\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// What the server answers to these bytes.
fn ask(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may have closed its end by then.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn only_the_metrics_are_served_and_bad_clients_stand_alone() {
    let server = Server::start("127.0.0.1:0".parse().unwrap()).unwrap();
    server.put(Arc::from("one 1\n# EOF\n"));
    // One that says nothing, and one that never comes to an end.
    let _silent = TcpStream::connect(server.address()).unwrap();
    let mut endless = TcpStream::connect(server.address()).unwrap();
    endless.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
    let plain = ask(&server, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(plain.starts_with("HTTP/1.1 200 ") && plain.ends_with("\r\n\r\none 1\n# EOF\n"), "{plain}");
    assert!(plain.contains("content-type: text/plain; version=0.0.4"), "{plain}");
    assert!(server.is_wanted() && !server.is_wanted());
    let open = ask(
        &server,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; version=1.0.0, */*\r\n\r\n",
    );
    assert!(
        open.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{open}"
    );
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "404"),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "405"),
        (b"no request at all\r\n\r\n", "400"),
    ] {
        let answer = ask(&server, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 1 << 20], b"\r\n\r\n"].concat();
    let answer = ask(&server, &long);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    drop(server);
}

#[test]
fn a_request_gets_a_text_that_is_made_for_it() {
    let server = Arc::new(Server::start("127.0.0.1:0".parse().unwrap()).unwrap());
    let for_thread = Arc::clone(&server);
    let client = std::thread::spawn(move || ask(&for_thread, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    while !server.is_wanted() {
        std::thread::sleep(Duration::from_millis(1));
    }
    server.put(Arc::from("fresh 1\n# EOF\n"));
    assert!(client.join().unwrap().ends_with("fresh 1\n# EOF\n"));
}
