//! The Lambda `auth-on-erase`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_auth::ON_ERASE)
}
