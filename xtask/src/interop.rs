//! The interop tier: `interop/run.py` starts a server on loopback and lets other people's clients
//! log in. See `interop/README.md`.

use crate::{
    packages::{self, Package},
    process::{Fault, Result, build_programs, program, root, succeed},
    tiers::Outcome,
};
use std::process::{Command, Stdio};

const PACKAGES: &[Package] = &[
    Package {
        name: "coturn",
        program: "turnutils_uclient",
    },
    Package {
        name: "openssl",
        program: "openssl",
    },
    Package {
        name: "profanity",
        program: "profanity",
    },
    Package {
        name: "python3",
        program: "python3",
    },
    Package {
        name: "tmux",
        program: "tmux",
    },
];

const NODE: &[Package] = &[
    Package {
        name: "nodejs",
        program: "node",
    },
    Package {
        name: "npm",
        program: "npm",
    },
];

const PROSODY: Package = Package {
    name: "prosody",
    program: "prosody",
};

const EJABBERD: Package = Package {
    name: "ejabberd",
    program: "ejabberdctl",
};

/// All interop tests against our server, as a tier.
pub(crate) fn tier() -> Result<Outcome> {
    run("waxwing", &[])
}

/// `cargo xtask interop [NAME…] [--against waxwing|prosody]`.
pub(crate) fn command(arguments: &[String]) -> Result {
    let mut names = Vec::new();
    let mut against = "waxwing";
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--against" {
            against = rest.next().map_or("", String::as_str);
        } else {
            names.push(argument.as_str());
        }
    }
    if !["waxwing", "prosody"].contains(&against) {
        return Err(Fault::new("--against takes `waxwing` or `prosody`"));
    }
    match run(against, &names)? {
        Outcome::Passed => Ok(()),
        Outcome::Skipped(why) => Err(Fault::new(format!("SKIPPED interop: {why}"))),
    }
}

fn run(against: &str, names: &[&str]) -> Result<Outcome> {
    if let Err(why) = packages::debian(PACKAGES)? {
        return Ok(Outcome::Skipped(why));
    }
    // The servers that play against each other are ours, Prosody and ejabberd.
    let between_servers =
        against == "waxwing" && (names.is_empty() || names.contains(&"federation"));
    let servers: &[Package] = match (between_servers, against) {
        (true, _) => &[PROSODY, EJABBERD],
        (false, "prosody") => &[PROSODY],
        _ => &[],
    };
    if let Err(why) = packages::debian(servers)? {
        return Ok(Outcome::Skipped(why));
    }
    if against == "waxwing" {
        build_programs("dev")?;
    }
    let python = match packages::python()? {
        Ok(python) => python,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    if let Err(why) = packages::debian(NODE)? {
        return Ok(Outcome::Skipped(why));
    }
    let node_modules = match packages::node()? {
        Ok(node_modules) => node_modules,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let script = |name: &str, words: &[&str]| {
        let mut script = Command::new(&python);
        script
            .env("NODE_MODULES", &node_modules)
            .arg(root().join("interop").join(name))
            .arg("--binary")
            .arg(program("dev", "waxwing").get_program())
            .args(words)
            .stdin(Stdio::null());
        succeed(&mut script)
    };
    if names != ["federation"] {
        script("run.py", &[&["--against", against], names].concat())?;
    }
    if between_servers {
        script("federation.py", &[])?;
    }
    Ok(Outcome::Passed)
}
