//! What is needed from outside for interop and comparisons: Debian packages, and packages of Python
//! and Node under the build folder. Whatever is installed is said first.

use crate::process::{Fault, Result, at, on_path, output, root, succeed, target};
use std::{path::PathBuf, process::Command};

/// A Debian package and a program by which its presence is known.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
}

/// Makes sure that the packages are here, or tells why they cannot be.
pub(crate) fn debian(packages: &[Package]) -> Result<std::result::Result<(), String>> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !on_path(package.program))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    let list = missing.join(" ");
    if !on_path("apt-get") {
        return Ok(Err(format!(
            "needs {list}, and there is no apt-get to install them"
        )));
    }
    let Some(as_root) = as_root() else {
        return Ok(Err(format!(
            "needs {list}: run `sudo apt-get install {list}`"
        )));
    };
    println!("Installing Debian packages: {list}");
    let apt = |arguments: &[&str]| {
        let mut words = as_root.iter().copied().chain([
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            // A package's own service must not start: the tests start what they need.
            "RUNLEVEL=1",
            "apt-get",
        ]);
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).args(arguments);
        command.stdin(std::process::Stdio::null());
        command
    };
    let install: Vec<&str> = ["install", "--yes", "--quiet", "--no-install-recommends"]
        .into_iter()
        .chain(missing.iter().copied())
        .collect();
    // A fresh machine has no package lists, an old one has stale ones: then update and try again.
    if succeed(&mut apt(&install)).is_err() {
        succeed(&mut apt(&["update", "--quiet"]))?;
        succeed(&mut apt(&install))?;
    }
    Ok(Ok(()))
}

/// Makes sure that a server is here that ours is compared with.
pub(crate) fn of_peer(peer: &str) -> Result {
    let package = |name, program| Package { name, program };
    let prosody = package("prosody", "prosody");
    let ejabberd = package("ejabberd", "ejabberdctl");
    // The drivers of SQLite have no programs by which they could be known.
    let packages = match peer {
        "prosody" => vec![prosody],
        "prosody-sqlite" => vec![prosody, package("lua-dbi-sqlite3", "lua-dbi-sqlite3")],
        "ejabberd" => vec![ejabberd],
        "ejabberd-sqlite" => vec![ejabberd, package("erlang-p1-sqlite3", "erlang-p1-sqlite3")],
        _ => {
            return Err(Fault::new(format!(
                "no peer is called {peer}; there are prosody, prosody-sqlite, ejabberd and \
                 ejabberd-sqlite"
            )));
        }
    };
    debian(&packages)?.map_err(Fault::new)
}

/// The words that make a command run as root: none for root itself, sudo where it asks nothing.
fn as_root() -> Option<Vec<&'static str>> {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if is_root {
        return Some(Vec::new());
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["--non-interactive", "true"]);
    let works = on_path("sudo") && output(&mut sudo).is_ok();
    works.then(|| vec!["sudo", "--non-interactive"])
}

/// The Python of a virtual environment that has what `interop/requirements.txt` lists.
pub(crate) fn python() -> Result<std::result::Result<PathBuf, String>> {
    let wanted_file = root().join("interop/requirements.txt");
    let wanted = at(&wanted_file, std::fs::read_to_string(&wanted_file))?;
    let venv = target().join("interop-venv");
    let stamp = venv.join("installed.txt");
    let python = venv.join("bin/python");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(python));
    }
    println!(
        "Installing Python packages for the interop tests into {}",
        venv.display()
    );
    let venv_path = venv.to_string_lossy();
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear", &venv_path]);
    if succeed(&mut make).is_err() {
        // Debian's Python comes without the part that makes environments.
        let package = [Package {
            name: "python3-venv",
            program: "python3-venv",
        }];
        if let Err(why) = debian(&package)? {
            return Ok(Err(why));
        }
        succeed(&mut make)?;
    }
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ]);
    if let Err(fault) = succeed(install.arg(&wanted_file)) {
        return Ok(Err(format!(
            "the Python packages cannot be installed: {fault}"
        )));
    }
    at(&stamp, std::fs::write(&stamp, wanted))?;
    Ok(Ok(python))
}

/// The folder with what `interop/xmppjs/package-lock.json` names.
pub(crate) fn node() -> Result<std::result::Result<PathBuf, String>> {
    let folder = target().join("interop-node");
    let stamp = folder.join("installed.json");
    let source = root().join("interop/xmppjs");
    let lock = source.join("package-lock.json");
    let wanted = at(&lock, std::fs::read_to_string(&lock))?;
    let modules = folder.join("node_modules");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(modules));
    }
    println!(
        "Installing Node packages for the interop tests into {}",
        folder.display()
    );
    at(&folder, std::fs::create_dir_all(&folder))?;
    for name in ["package.json", "package-lock.json"] {
        let to = folder.join(name);
        at(&to, std::fs::copy(source.join(name), &to).map(drop))?;
    }
    let mut install = Command::new("npm");
    install
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder);
    if let Err(fault) = succeed(&mut install) {
        return Ok(Err(format!(
            "the Node packages cannot be installed: {fault}"
        )));
    }
    at(&stamp, std::fs::write(&stamp, wanted))?;
    Ok(Ok(modules))
}
