//! The console as a browser has it, without one.

mod pages;
mod panel;
mod scene;
mod security;
