//! The Lambda `sync-on-commit`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_sync::ON_COMMIT)
}
