//! Draws a state: header, tabs, page, footer. Nothing is decided here and nothing remembered; what can be clicked
//! is handed back.
mod finding;
mod findings;
mod footer;
mod frame;
mod header;
mod health;
mod help;
mod inode;
mod inodes;
mod pools;
mod screen;
mod windows;

pub use self::screen::draw;
