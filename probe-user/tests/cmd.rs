//! What is typed and what comes back: `tests/cmd/*.trycmd`. `TRYCMD=overwrite cargo test --test cmd` writes them anew.

#[test]
fn command_line() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
