//! Draws a state: header, tabs, page, footer. It decides and remembers nothing; it returns the areas that can be clicked.
mod draws;
mod failure;
mod failures;
mod finding;
mod findings;
mod footer;
mod frame;
mod header;
mod health;
mod help;
mod holders;
mod inode;
mod inodes;
mod pools;
mod screen;
mod stalls;
mod waits;
mod windows;

pub use self::screen::draw;
