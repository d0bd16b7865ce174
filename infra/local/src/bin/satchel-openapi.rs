//! Prints the OpenAPI document of all families: `make openapi` keeps it in `docs/openapi.json`.

use std::io::{Error, Result, Write as _};

fn main() -> Result<()> {
    let mut text = satchel_local::openapi::document().to_pretty_json().map_err(Error::other)?;
    text.push('\n');
    std::io::stdout().lock().write_all(text.as_bytes())
}
