//! Forced signals.

use super::*;

#[test]
fn a_forced_signal_is_listed_and_ends_with_unforce_and_with_its_client() {
    if let Some(reason) = emulation::emulator().map(|_| "user-mode emulation has no such sockets") {
        return not_run(reason);
    }
    let controller = Controller::start("force");
    let get = || controller.steadctl("get output.lamp input.door");
    let both = |expected: &str| {
        let begun = Instant::now();
        while get().out != expected {
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", get().out);
        }
    };
    both("off\noff\n");
    let refused = |line: &str, code: i32, what: &str| {
        let refused = controller.steadctl(line);
        assert_eq!(refused.code, Some(code), "{line}: {}", refused.err);
        assert!(refused.err.contains(what), "{line}: {}", refused.err);
        assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
    };
    refused("force output.lamp on", 2, "--for");
    refused("force output.lamp 0.5 --for 1s", 2, "on or off");
    refused("force output.lamp on --for 61min", 2, "at most 1 h");
    refused("force output.lamb on --for 1s", 2, "no signal");
    refused("force output.enable on --for 1s", 1, "needed for safety");
    refused("unforce output.lamp", 1, "is not forced");

    let force = |words: &[&str]| {
        let mut force = Command::new(STEADCTL);
        force.arg("force").args(words);
        force.args(["--for", "60s", "--socket"]);
        force.arg(&controller.socket).stderr(Stdio::piped());
        force.spawn().expect("it starts")
    };
    let lamp = force(&["output.lamp", "on"]);
    let mut door = force(&["input.door", "on"]);
    both("on\non\n");
    let listed = controller.steadctl("forces").out;
    let line = |name: &str| {
        let found = listed.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}: {listed}"))
    };
    assert!(line("output.lamp = on, ").contains(" s left, client "));
    assert!(line("input.door = on, ").contains(" s left, client "));

    // Killed: its force ends with it, and the other stays.
    door.kill().expect("it runs");
    door.wait().expect("it ends");
    both("on\noff\n");
    let ended = controller.steadctl("unforce --all");
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1 ended\n"));
    both("off\noff\n");
    let told = lamp.wait_with_output().expect("it ends");
    let told = String::from_utf8(told.stderr).expect("text");
    assert!(told.contains("is not forced any more"), "{told}");
    assert_eq!(controller.steadctl("forces").out, "nothing is forced\n");
}
