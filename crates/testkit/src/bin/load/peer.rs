//! Another server in the place of this process, so that whoever starts this has started that.

use crate::{Options, Result};
use std::os::unix::process::CommandExt as _;
use waxwing_testkit::peer::Brand;

/// Returns only if the server cannot be started.
pub(crate) fn become_server(options: &Options) -> Result<()> {
    let brand = Brand::parse(options.text("peer", "prosody"))?;
    let folder = options.folder();
    brand.prepare(&folder, options.address()?.port())?;
    let fault = brand.command(&folder).exec();
    Err(format!("{} cannot be started: {fault}", brand.name()).into())
}
