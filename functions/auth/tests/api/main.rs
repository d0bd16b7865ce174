//! The family's routes and consumers, over a whole local stack.

mod apple;
mod customers;
mod erase;
mod export;
mod keys;
mod link;
mod me;
mod refresh;
mod sessions;
mod sign_in;
mod token;
