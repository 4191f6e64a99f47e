#![doc = include_str!("../README.md")]

pub mod compare;
pub mod config;
pub mod prepare;
pub mod sample;
mod show;

pub use show::{Bar, print};
