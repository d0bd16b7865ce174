//! The sync API over HTTP, through the gateway of the local stack: one binary, so that it is linked once.

#[cfg(test)]
mod access;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod chunks;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod contents;
#[cfg(test)]
mod cursors;
#[cfg(test)]
mod epochs;
#[cfg(test)]
mod erasing;
#[cfg(test)]
mod history;
#[cfg(test)]
mod layer;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod positions;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod races;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod seed_clients;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod status;
#[cfg(test)]
mod support;
#[cfg(test)]
mod table;
#[cfg(test)]
mod trouble;
