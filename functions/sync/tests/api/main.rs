//! The sync API over HTTP, through the gateway of the local stack: one binary, so that it is linked once.

#[cfg(test)]
mod seed;
#[cfg(test)]
mod support;
#[cfg(test)]
mod table;
