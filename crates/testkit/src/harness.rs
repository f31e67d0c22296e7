//! Runs scenarios as tests: one test for each scenario and subject.
//!
//! Where a scenario says that the subject differs, the test passes if it does, and fails if it does
//! not any more, or never did: the header must go then. With `--nocapture` it says how it differs.

use crate::{coverage, scenario, subject::Kind};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Names the subjects, comma-separated: `memory`, `tls`, `prosody`.
pub const SUBJECTS_VARIABLE: &str = "WAXWING_SCENARIO_ON";

/// Scenarios at a time on servers in other processes, which mostly wait for disks and each other.
const THREADS_NETWORK: usize = 6;

/// Runs `scenarios/**/*.scn` of the repository on the subjects that [`SUBJECTS_VARIABLE`] names,
/// or on these. Arguments are those of every Rust test binary.
pub fn main(default: &[Kind]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    match trials(default, arguments.nocapture) {
        Ok((trials, exact)) => {
            if !exact && arguments.test_threads.is_none() {
                arguments.test_threads = Some(THREADS_NETWORK);
            }
            libtest_mimic::run(&arguments, trials).exit_code()
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn trials(default: &[Kind], show: bool) -> Result<(Vec<Trial>, bool), String> {
    let kinds = match std::env::var(SUBJECTS_VARIABLE) {
        Ok(names) => names
            .split(',')
            .map(Kind::parse)
            .collect::<Result<_, _>>()?,
        Err(_) => default.to_vec(),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = coverage::find(&folder, "scn").map_err(|e| e.to_string())?;
    let mut trials = Vec::new();
    for path in files {
        let name = path
            .strip_prefix(&folder)
            .unwrap_or(&path)
            .with_extension("")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let parsed = scenario::parse(&text);
        for kind in &kinds {
            trials.push(trial(&name, &path, *kind, show, parsed.clone()));
        }
    }
    Ok((trials, kinds.iter().all(|kind| kind.is_exact())))
}

fn trial(
    name: &str,
    path: &Path,
    kind: Kind,
    show: bool,
    parsed: Result<scenario::Scenario, scenario::ParseError>,
) -> Trial {
    let path: PathBuf = path.to_owned();
    let skipped = parsed.as_ref().is_ok_and(|play| kind.skips(play).is_some());
    Trial::test(name, move || {
        let place = path.display();
        let play = parsed.map_err(|error| Failed::from(format!("{place}: {error}")))?;
        let played = run(kind, &play).map_err(|reason| format!("{place}: {reason}"))?;
        let reason = match (kind.differs(&play), played) {
            (None, Ok(())) => return Ok(()),
            (None, Err(reason)) => reason,
            (Some(header), Ok(())) => format!("says that it differs ({header}), and passes"),
            (Some(header), Err(reason)) => {
                if show {
                    eprintln!("{place}: differs: {header}\n{reason}\n");
                }
                return Ok(());
            }
        };
        Err(Failed::from(format!("{place}: {reason}")))
    })
    .with_kind(kind.name())
    .with_ignored_flag(skipped)
}

/// One scenario on a fresh subject, in a runtime of its own: how it went, if there was a subject.
fn run(kind: Kind, play: &scenario::Scenario) -> Result<Result<(), String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(kind.is_exact())
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let subject = kind.start(play).await?;
        Ok(scenario::play(play, &subject).await)
    })
}
