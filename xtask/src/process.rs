//! Running other programs, and the places they run in.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Why a command failed, in words for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Fault(String);

/// What an xtask command gives.
pub(crate) type Result<T = ()> = std::result::Result<T, Fault>;

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Adds the file's name to an input or output error, which by itself does not tell it.
pub(crate) fn at<T>(path: &Path, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| Fault::new(format!("{}: {error}", path.display())))
}

/// The top folder of the checkout.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// The build folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Whether this is a CI run, where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// `cargo` with these arguments, in the top folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command.stdin(Stdio::null());
    command
}

/// Builds every program of the workspace. Always the whole workspace: another selection of packages
/// would select other features of the dependencies, and build them again.
pub(crate) fn build_programs(profile: &str) -> Result {
    build_with(profile, &[])
}

/// The same with more words for cargo, such as features of our own packages.
pub(crate) fn build_with(profile: &str, words: &[&str]) -> Result {
    let build = ["build", "--workspace", "--bins", "--profile", profile];
    succeed(cargo(&build).args(words))
}

/// A program that [`build_programs`] has built, to be run in the top folder.
pub(crate) fn program(profile: &str, name: &str) -> Command {
    let folder = if profile == "dev" { "debug" } else { profile };
    let mut command = Command::new(target().join(folder).join(name));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a program to its end, showing what it prints; fails if it does.
pub(crate) fn succeed(command: &mut Command) -> Result {
    let words = describe(command);
    println!("$ {words}");
    let status = command
        .status()
        .map_err(|error| Fault::new(format!("cannot start `{words}`: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Fault::new(format!("`{words}` failed: {status}")))
    }
}

/// Runs a program to its end and gives what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let words = describe(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Fault::new(format!("cannot start `{words}`: {error}")))?;
    if !output.status.success() {
        return Err(Fault::new(format!("`{words}` failed: {}", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Fault::new(format!("`{words}` printed something that is not UTF-8")))
}

/// Whether a program of that name is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn describe(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut words = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        words.push(' ');
        words.push_str(&argument.to_string_lossy());
    }
    words
}
