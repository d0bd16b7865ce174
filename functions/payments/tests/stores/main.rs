//! Purchases in the stand-in stores, over a whole local stack: every call is HTTP, every signature real.

#[cfg(test)]
mod apple;
#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod google;
#[cfg(test)]
mod history;
#[cfg(test)]
mod mended;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod story;
#[cfg(test)]
mod support;
#[cfg(test)]
mod webhooks;
