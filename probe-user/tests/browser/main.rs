//! The HTML report in a browser: nothing is on its console, keys and mouse move the timeline, and what it says of a moment is what the
//! data have. `cargo xtask test --only html` runs it where there is a Chromium.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says why it did not run"
)]
mod chromium;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use probe_common::inode::{COUNTERS_VALID, MOMENT_DESTROY};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingReader, RecordingWriter, WriterOptions},
    record::Record,
    stream::Source as _,
};
use serde_json::Value;

use chromium::Chromium;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recordings").join(format!("{name}.rsv"))
}

/// A name of a task that a page must not obey. As long as one may be.
const HOSTILE: &str = "</script><img/>";

/// The recording `paths` with leaks and with hostile names.
fn with_finding(folder: &Path) -> PathBuf {
    let mut reader = RecordingReader::open(&recording("paths")).unwrap();
    let path = folder.join("finding.rsv");
    let mut writer = RecordingWriter::create(&path, reader.header(), &WriterOptions::default()).unwrap();
    let mut batch = RecordBatch::new();
    let mut leaks = 0;
    while reader.next_batch(&mut batch) {
        let mut altered = RecordBatch::new();
        let mut undecodable = 0;
        for record in batch.decoded(&mut undecodable).collect::<Vec<_>>() {
            let record = match record {
                Record::InodeState(mut state)
                    if state.moment == MOMENT_DESTROY
                        && state.counters.flags & COUNTERS_VALID != 0
                        && leaks < 3 =>
                {
                    leaks += 1;
                    state.counters.reserved = 131_072;
                    Record::from(state)
                }
                Record::TaskSeen(mut task) => {
                    task.comm = [0; 16];
                    task.comm[..HOSTILE.len()].copy_from_slice(HOSTILE.as_bytes());
                    Record::from(task)
                }
                other => other,
            };
            altered.push_record(&record);
        }
        writer.push_batch(&mut altered);
        writer.push_symbols(&reader.take_symbols());
    }
    writer.finish(reader.end().cloned().unwrap_or_default()).unwrap();
    path
}

/// The page of a recording.
fn page(recording: &Path, folder: &Path, name: &str) -> PathBuf {
    let page = folder.join(name);
    let mut format = std::ffi::OsString::from("html=");
    format.push(&page);
    let status = Command::new(env!("CARGO_BIN_EXE_btrfs-probe"))
        .arg("report")
        .arg(recording)
        .arg("--format")
        .arg(format)
        .status()
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    page
}

/// What the timeline says: the moment, and of each lane its value.
fn said(browser: &mut Chromium) -> (String, Vec<String>) {
    let of = browser.evaluate(
        "(() => { const chart = document.querySelector('.chart'); const text = e => e.textContent.trim(); return [text(chart.querySelector('.axis-lane .lane-value')), ...Array.from(chart.querySelectorAll('[data-lane] .lane-value')).map(text)]; })()",
    );
    let mut list: Vec<String> =
        of.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let moment = list.remove(0);
    (moment, list)
}

/// What the data of the page have of the first lane with one counter, at a time in microseconds: its number, and the value.
fn in_data(browser: &mut Chromium, time: f64) -> (usize, Option<i64>) {
    let data = browser.evaluate("document.getElementById('timeline-data').textContent");
    let data: Value = serde_json::from_str(data.as_str().unwrap()).unwrap();
    let lanes = data["filesystems"][0]["lanes"].as_array().unwrap();
    let number = lanes.iter().position(|lane| lane["stack"] == false).unwrap();
    let counter = &lanes[number]["counters"][0];
    let list = |name: &str| -> Vec<i64> {
        counter[name].as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
    };
    let (mut at, mut value, mut found) = (0, 0, None);
    for (step, difference) in list("t").into_iter().zip(list("v")) {
        at += step;
        value += difference;
        if at as f64 <= time {
            found = Some(value);
        }
    }
    (number, found)
}

/// Bytes as the page writes them.
fn bytes(value: i64) -> String {
    probe_user::format::bytes(value, "iB")
}

/// Follows the timeline of the page with keys and mouse.
fn follow(browser: &mut Chromium) {
    assert_eq!(said(browser).0, "at the end");
    let duration =
        browser.evaluate("JSON.parse(document.getElementById('timeline-data').textContent).duration");
    let duration = duration.as_f64().unwrap();
    let drawn = "document.querySelector('.lane.may-use .line').getAttribute('d')";
    // The page has the pictures before the script is asked for anything, and the script draws the same.
    let first = browser.evaluate(drawn);
    browser.evaluate("document.querySelector('.chart').focus()");
    browser.press("0");
    assert_eq!(browser.evaluate(drawn), first, "the script draws what the page has");

    // To the middle, then along: at each the value is that of the data.
    for step in 0..12 {
        browser.press("ArrowRight");
        let time = duration * (0.5 + f64::from(step) / 100.0);
        let (lane, value) = in_data(browser, time);
        let (moment, lanes) = said(browser);
        assert!(moment.starts_with("at +"), "{moment}");
        let expected = value.map_or_else(|| "not known yet".to_owned(), bytes);
        let right = lanes[lane].starts_with(&expected) || lanes[lane] == "gone";
        assert!(right, "{moment}: {} and not {expected}", lanes[lane]);
    }
    // Zoomed, the picture is another one; 0 goes back to the first.
    for _ in 0..5 {
        browser.press("+");
    }
    assert_ne!(browser.evaluate(drawn), first);
    browser.press("0");
    assert_eq!(browser.evaluate(drawn), first);
    assert_eq!(said(browser).0, "at the end");

    // The mouse shows a moment, and its wheel zooms once the timeline has the focus.
    let plot = browser.evaluate(
        "(() => { const r = document.querySelector('.lane.may-use .plot'); r.scrollIntoView({block: 'center'}); const b = r.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()",
    );
    let plot: Vec<f64> = plot.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    let middle = (plot[0] + plot[2] / 2.0, plot[1] + plot[3] / 2.0);
    browser.mouse("mouseMoved", middle, 0.0);
    let (lane, value) = in_data(browser, duration / 2.0);
    let (moment, lanes) = said(browser);
    assert!(moment.starts_with("at +"), "{moment}");
    assert!(value.is_none() || lanes[lane].starts_with(&bytes(value.unwrap())) || lanes[lane] == "gone");
    browser.mouse("mouseWheel", middle, -200.0);
    assert_ne!(browser.evaluate(drawn), first, "the wheel zooms");
    browser.press("0");
    // Dragging zooms to a part.
    browser.mouse("mousePressed", middle, 0.0);
    browser.mouse("mouseMoved", (middle.0 + plot[2] / 8.0, middle.1), 0.0);
    browser.mouse("mouseReleased", (middle.0 + plot[2] / 8.0, middle.1), 0.0);
    assert_ne!(browser.evaluate(drawn), first, "a part");
    browser.press("0");
    assert_eq!(browser.evaluate(drawn), first);
}

/// Tab goes from the timeline to its marks, and the mark says what it is.
fn reach_mark(browser: &mut Chromium) {
    browser.evaluate("document.querySelector('.chart').focus()");
    browser.press("Tab");
    let is_mark = browser.evaluate("document.activeElement.classList.contains('mark')");
    assert_eq!(is_mark, true);
    let label = browser.evaluate("document.activeElement.getAttribute('aria-label')");
    let told = browser.evaluate("document.querySelector('.readout').textContent");
    assert_eq!(told, label);
    assert!(said(browser).0.starts_with("at +"));
}

fn sees(what: &str, prepare: impl Fn(&Path) -> PathBuf, more: impl Fn(&mut Chromium)) {
    let Some(program) = chromium::find() else {
        println!("SKIPPED: no Chromium for the HTML report");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let page = page(&prepare(folder.path()), folder.path(), "page.html");
    for size in [(1400, 900), (400, 800)] {
        let mut browser = Chromium::start(&program, size);
        browser.open(&page);
        follow(&mut browser);
        reach_mark(&mut browser);
        more(&mut browser);
        // As wide as the window: only tables may be wider, and scroll by themselves.
        let beyond =
            browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(beyond, 0, "{what} at {size:?} is wider than its window");
        assert_eq!(browser.complaints, Vec::<String>::new(), "{what} at {size:?}");
    }
}

#[test]
#[ignore = "needs a Chromium"]
fn a_page_with_findings() {
    sees("findings", with_finding, |browser| {
        // No name is obeyed, and each is shown.
        let title = browser.evaluate("document.title");
        assert!(title.as_str().unwrap().starts_with("findings"), "{title}");
        assert_eq!(browser.evaluate("document.images.length"), 0);
        let text = browser.evaluate("document.body.innerText");
        assert!(text.as_str().unwrap().contains(HOSTILE));
        // A mark leads to its finding.
        browser.evaluate("document.querySelector('a.mark.finding').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))");
        let place = browser.evaluate("new Promise(done => setTimeout(() => done(location.hash), 0))");
        assert!(place.as_str().unwrap().starts_with("#finding-"), "{place}");
    });
}

#[test]
#[ignore = "needs a Chromium"]
fn a_page_with_failed_reservations() {
    sees(
        "failures",
        |_| recording("failures"),
        |browser| {
            // The switch changes the colours.
            let colour = "getComputedStyle(document.body).backgroundColor";
            let before = browser.evaluate(colour);
            browser.evaluate("document.querySelector('#theme-place button').click()");
            assert_ne!(browser.evaluate(colour), before);
            // A frame of the flame graph fills the page, and goes back.
            let width = "document.querySelectorAll('.flame .frame')[2].getAttribute('width')";
            let before = browser.evaluate(width);
            for expected in [serde_json::json!("100%"), serde_json::json!(before)] {
                browser.evaluate(
                    "document.querySelectorAll('.flame .frame')[2].dispatchEvent(new MouseEvent('click'))",
                );
                let parse =
                    |value: &Value| value.as_str().unwrap().trim_end_matches('%').parse::<f64>().unwrap();
                let difference = parse(&browser.evaluate(width)) - parse(&expected);
                assert!(difference.abs() < 0.01);
            }
        },
    );
}
