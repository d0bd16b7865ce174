//! The Lambda `sync-on-erase`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_sync::ON_ERASE)
}
