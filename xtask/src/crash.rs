//! `cargo xtask crash`: kills the server again and again and looks for what was promised and not
//! kept. See `docs/reliability.md`.

use crate::{
    packages,
    process::{Fault, Result, at, build_programs, build_with, program, succeed, target},
};
use std::path::{Path, PathBuf};

const USAGE: &str = "crash [--cycles N] [--seed S] [--profile release|dev] \
     [--peer waxwing|PEER] [--cycles-per-epoch N] [--rooms with|without] \
     [--times strict|told] [--after-violation stop|go-on] [--folder DIR]";

/// A short run of the debug build that the tests made, as a tier. Times are told and not judged.
pub(crate) fn slice() -> Result {
    build_programs("dev")?;
    run("dev", &["--cycles", "24", "--cycles-per-epoch", "8"])
}

/// What a release build needs to die at named places; a debug build needs nothing.
const POINTS: &str = "waxwing/kill-points";

/// `cargo xtask crash`.
pub(crate) fn command(arguments: &[String]) -> Result {
    let mut profile = "release";
    let mut words = Vec::new();
    let mut peer = "waxwing";
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(Fault::new(USAGE));
        };
        match name.as_str() {
            "--profile" if ["release", "dev"].contains(&value.as_str()) => profile = value,
            _ => words.extend([name.as_str(), value]),
        }
        if name == "--peer" {
            peer = value;
        }
    }
    match peer {
        "waxwing" if profile == "release" => build_release()?,
        "waxwing" => build_programs(profile)?,
        _ => {
            packages::of_peer(peer)?;
            // The driver alone is ours.
            build_programs("dev")?;
            profile = "dev";
        }
    }
    run(profile, &words)
}

/// The release binary for kills from outside, and one with kill points beside it: the same code but
/// for them. Cargo keeps both builds, and gives the name to the newer one, so each is copied.
fn build_release() -> Result {
    let folder = target().join("crash");
    at(&folder, std::fs::create_dir_all(&folder))?;
    build_with("release", &["--features", POINTS])?;
    keep(&folder.join("waxwing-with-points"))?;
    build_programs("release")?;
    keep(&folder.join("waxwing"))
}

fn keep(to: &Path) -> Result {
    let built = program("release", "waxwing");
    at(to, std::fs::copy(built.get_program(), to)).map(drop)
}

fn run(profile: &str, words: &[&str]) -> Result {
    let mut driver = program(profile, "crash");
    let (plain, with_points) = if profile == "release" {
        let folder = target().join("crash");
        (folder.join("waxwing"), folder.join("waxwing-with-points"))
    } else {
        let built = PathBuf::from(program(profile, "waxwing").get_program());
        (built.clone(), built)
    };
    driver.arg("--binary").arg(plain);
    driver.arg("--binary-with-points").arg(with_points);
    succeed(driver.args(words))
}
