//! A whole local stack in a test.
