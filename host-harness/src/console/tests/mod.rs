//! The console as a browser has it, without one.

mod looking;
mod pages;
mod panel;
mod scene;
mod security;
