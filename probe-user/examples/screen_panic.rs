//! Takes the terminal over and panics, on the thread that the argument names: `main` or `other`. For the test that the
//! terminal is given back and the message can be read.
#![allow(clippy::panic, reason = "it is what this is for")]
use probe_user::session::Screen;

fn main() -> anyhow::Result<()> {
    let screen = Screen::enter()?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    if std::env::args().nth(1).as_deref() == Some("other") {
        let ended = std::thread::spawn(|| panic!("a defect elsewhere")).join();
        assert!(ended.is_err());
        assert!(!Screen::is_up());
        drop(screen);
        return Ok(());
    }
    panic!("a defect here");
}
