//! `steadctl move`, `jog`, `home`, `stop`, `arm` and `reset`: drives an axis of a running controller as
//! a CiA 402 master does.

use std::path::Path;
use std::time::{Duration, Instant};

use steadfast::axis::State;
use steadfast::axis::words::{control, status};
use steadfast::link::protocol::Kind;
use steadfast::realtime::signals::{self, StopSignal};
use steadfast::sys::signal::{Disposition, set_disposition};

use crate::client::{Client, Signal};
use crate::{BAD_INPUT, Failure, print, units};

/// The longest time for a change of the state, beside brakes.
const STATE: Duration = Duration::from_secs(10);

/// The longest time until a reset has an effect.
const RESET: Duration = Duration::from_secs(2);

/// Modes (6060h).
const PP: f64 = 1.0;
const PV: f64 = 3.0;
const HM: f64 = 6.0;

/// An axis whose commands this program owns.
struct Axis {
    client: Client,
    name: String,
    group: u32,
    timeout: Duration,
    status: Signal,
    fault: Signal,
    order: [f64; 4],
    /// It is being stopped and given up.
    releases: bool,
}

/// Makes a request to end this program ([`StopSignal`]) one to stop the axis first. A second
/// Ctrl-C ends it at once; the loop then stops the axis, as of any client that is gone.
fn stop_before_the_end() -> Result<(), Failure> {
    let signals = [
        StopSignal::Terminate,
        StopSignal::Interrupt,
        StopSignal::HangUp,
    ];
    for signal in signals.map(StopSignal::number) {
        set_disposition(signal, Disposition::RequestStop)
            .map_err(|errno| Failure(1, format!("signal {signal} cannot be handled ({errno})")))?;
    }
    Ok(())
}

impl Axis {
    /// Becomes the owner of the axis `name`.
    fn claim(socket: Option<&Path>, name: &str) -> Result<Self, Failure> {
        stop_before_the_end()?;
        let mut client = Client::connect(socket)?;
        let (group, timeout) = find(&client, name)?;
        let status = client.signal(&format!("{name}.statusword"))?.clone();
        let fault = client.signal(&format!("{name}.fault"))?.clone();
        client.ask(Kind::Claim, group, &[])?;
        Ok(Self {
            client,
            name: name.to_owned(),
            group,
            timeout,
            status,
            fault,
            order: [0.0; 4],
            releases: false,
        })
    }

    /// Writes controlword, mode, target position and target velocity.
    fn write(
        &mut self,
        controlword: u16,
        mode: f64,
        target: f64,
        velocity: f64,
    ) -> Result<(), Failure> {
        self.order = [f64::from(controlword), mode, target, velocity];
        self.client
            .ask(Kind::Write, self.group, &self.order)
            .map(|_| ())
    }

    /// Writes another controlword, and keeps mode and targets.
    fn control(&mut self, controlword: u16) -> Result<(), Failure> {
        let [_, mode, target, velocity] = self.order;
        self.write(controlword, mode, target, velocity)
    }

    fn statusword(&self) -> Result<u16, Failure> {
        let value = self.client.frame()?.value(&self.status);
        Ok(value.unwrap_or_default() as u16)
    }

    /// Refreshes the commands until `reached` is true of the statusword. `what` is for the error
    /// after `limit`.
    fn until(
        &mut self,
        limit: Option<Duration>,
        what: &str,
        reached: impl Fn(u16) -> bool,
    ) -> Result<u16, Failure> {
        let began = Instant::now();
        loop {
            let word = self.statusword()?;
            if reached(word) {
                return Ok(word);
            }
            if word & status::FAULT != 0 {
                return Err(self.faulted());
            }
            if limit.is_none() {
                self.follows(word)?;
            }
            if limit.is_some_and(|limit| began.elapsed() > limit) {
                let name = &self.name;
                let what = format!(
                    "axis {name} does not {what} (statusword 0x{word:04X}); is the emergency stop released, and is the machine armed?"
                );
                return Err(self.client.failed(what));
            }
            self.keep(Duration::from_millis(5))?;
        }
    }

    /// Waits for `time`, and refreshes the commands. An error if this program is to end; the axis is
    /// then stopped and given up.
    fn keep(&mut self, time: Duration) -> Result<(), Failure> {
        if let (Some(signal), false) = (signals::stop_requested(), self.releases) {
            self.stop()?;
            let name = &self.name;
            let what = format!("ended by {signal}; axis {name} was stopped and given up");
            return Err(self.client.failed(what));
        }
        std::thread::sleep(time.min(self.timeout / 4));
        self.client.send(Kind::Refresh, 0, &[])
    }

    /// The error that the axis no longer follows this program, if that is so.
    fn follows(&self, word: u16) -> Result<(), Failure> {
        match word {
            _ if word & status::FAULT != 0 => Err(self.faulted()),
            _ if status::state(word) == Some(State::OperationEnabled) => Ok(()),
            _ => {
                let what = "was stopped by another program, the emergency stop or the loop";
                let name = &self.name;
                Err(self.client.failed(format!(
                    "axis {name} {what}; see `steadctl watch {name}.statusword`"
                )))
            }
        }
    }

    fn faulted(&self) -> Failure {
        let frame = self.client.frame();
        let code = frame.ok().and_then(|frame| frame.value(&self.fault));
        let code = code.unwrap_or_default() as u16;
        let name = &self.name;
        self.client.failed(format!(
            "axis {name} has the fault 0x{code:04X}; `steadctl explain 0x{code:04X}` says more, then `steadctl reset {name}`"
        ))
    }

    /// Brings the axis to Operation enabled in `mode`.
    fn enable(&mut self, mode: f64) -> Result<(), Failure> {
        let at = self
            .client
            .signal(&format!("{}.position", self.name))?
            .clone();
        let target = self.client.frame()?.value(&at).unwrap_or_default();
        self.write(control::SHUTDOWN, mode, target, 0.0)?;
        let reached = |state| move |word| status::state(word) == Some(state);
        let ready = reached(State::ReadyToSwitchOn);
        self.until(Some(STATE), "get ready to switch on", ready)?;
        self.control(control::SWITCH_ON)?;
        self.until(Some(STATE), "switch on", reached(State::SwitchedOn))?;
        self.control(control::ENABLE_OPERATION)?;
        let enabled = reached(State::OperationEnabled);
        self.until(Some(STATE), "enable operation", enabled)
            .map(|_| ())
    }

    /// Gives a rising edge of fault reset. Whether the statusword is as `done` says soon after.
    fn reset(&mut self, done: impl Fn(u16) -> bool) -> Result<bool, Failure> {
        self.write(0, 0.0, 0.0, 0.0)?;
        self.keep(Duration::from_millis(20))?;
        self.control(control::FAULT_RESET)?;
        let began = Instant::now();
        while !done(self.statusword()?) {
            if began.elapsed() > RESET {
                return Ok(false);
            }
            self.keep(Duration::from_millis(5))?;
        }
        Ok(true)
    }

    /// Gives the axis up.
    fn give_up(&mut self) -> Result<u8, Failure> {
        self.client.ask(Kind::Release, self.group, &[]).map(|_| 0)
    }

    /// Stops on the ramp of the profile, removes power, and gives the axis up.
    fn release(mut self) -> Result<u8, Failure> {
        self.stop()
    }

    fn stop(&mut self) -> Result<u8, Failure> {
        self.releases = true;
        self.control(control::SHUTDOWN)?;
        self.until(Some(STATE), "stop", |word| {
            matches!(
                status::state(word),
                Some(State::SwitchOnDisabled | State::ReadyToSwitchOn)
            )
        })?;
        self.give_up()
    }
}

/// The axes that take commands: name, group, and its timeout.
fn axes(client: &Client) -> impl Iterator<Item = (&str, u32, Duration)> {
    let is_axis = |name: &str| client.signal(&format!("{name}.controlword")).is_ok();
    let groups = (0..).zip(&client.groups);
    let groups = groups.filter(move |(_, group)| is_axis(&group.name));
    groups.map(|(number, group)| (group.name.as_str(), number, group.timeout))
}

/// What to do about a machine without an axis that takes commands.
const NO_AXIS: &str = "give it a table [axis.X.command]";

/// The first axis that takes commands.
fn first(client: &Client) -> Result<String, Failure> {
    let first = axes(client).next().map(|(name, ..)| name.to_owned());
    first.ok_or_else(|| Failure(BAD_INPUT, format!("no axis takes commands; {NO_AXIS}")))
}

/// The group of the axis `name`, and its timeout.
fn find(client: &Client, name: &str) -> Result<(u32, Duration), Failure> {
    if let Some((_, number, timeout)) = axes(client).find(|(axis, ..)| *axis == name) {
        return Ok((number, timeout));
    }
    let names: Vec<&str> = axes(client).map(|(name, ..)| name).collect();
    let fix = match names[..] {
        [] => NO_AXIS.to_owned(),
        _ => format!("commanded axes: {}", names.join(", ")),
    };
    Err(Failure(
        BAD_INPUT,
        format!("no axis \"{name}\" takes commands; {fix}"),
    ))
}

/// Moves the axis to `position`, or by it, and waits until it is there.
pub(crate) fn move_to(
    socket: Option<&Path>,
    name: &str,
    position: &str,
    relative: bool,
) -> Result<u8, Failure> {
    let target = units::value(position, "rad")?;
    let mut axis = Axis::claim(socket, name)?;
    axis.enable(PP)?;
    let relative = if relative { control::RELATIVE } else { 0 };
    axis.write(
        control::ENABLE_OPERATION | control::NEW_SET_POINT | control::CHANGE_IMMEDIATELY | relative,
        PP,
        target,
        0.0,
    )?;
    axis.until(Some(STATE), "accept the position", |word| {
        word & status::MODE_SPECIFIC_12 != 0
    })?;
    axis.control(control::ENABLE_OPERATION)?;
    axis.until(Some(STATE), "take the position", |word| {
        word & status::MODE_SPECIFIC_12 == 0
    })?;
    axis.until(None, "arrive", |word| word & status::TARGET_REACHED != 0)?;
    let at = axis.client.signal(&format!("{name}.position"))?.clone();
    if let Some(position) = axis.client.frame()?.value(&at) {
        print(&format!("{name} is at {position:.6} rad\n"))?;
    }
    axis.release()
}

/// Turns the axis at `speed`, for `time` or until the program is ended.
pub(crate) fn jog(
    socket: Option<&Path>,
    name: &str,
    speed: &str,
    time: Option<&str>,
) -> Result<u8, Failure> {
    let speed = units::value(speed, "rad/s")?;
    let end = time.map(units::time).transpose()?;
    let mut axis = Axis::claim(socket, name)?;
    axis.enable(PV)?;
    axis.write(control::ENABLE_OPERATION, PV, 0.0, speed)?;
    let began = Instant::now();
    while end.is_none_or(|end| began.elapsed() < end) && signals::stop_requested().is_none() {
        axis.follows(axis.statusword()?)?;
        axis.keep(Duration::from_millis(20))?;
    }
    axis.release()
}

/// Homes the axis by the method of the board file.
pub(crate) fn home(socket: Option<&Path>, name: &str) -> Result<u8, Failure> {
    let mut axis = Axis::claim(socket, name)?;
    axis.enable(HM)?;
    axis.control(control::ENABLE_OPERATION | control::NEW_SET_POINT)?;
    let done = status::TARGET_REACHED | status::MODE_SPECIFIC_12;
    let word = axis.until(None, "home", |word| {
        word & status::MODE_SPECIFIC_13 != 0 || word & done == done
    })?;
    if word & status::MODE_SPECIFIC_13 != 0 {
        let what = format!(
            "axis {name} was not homed; see [axis.{name}.homing], its switch and its limits"
        );
        let failed = axis.client.failed(what);
        axis.release()?;
        return Err(failed);
    }
    print(&format!("{name} is homed\n"))?;
    axis.release()
}

/// Stops the axis, or all, also those that another program commands.
pub(crate) fn stop(socket: Option<&Path>, name: Option<&str>) -> Result<u8, Failure> {
    let mut client = Client::connect(socket)?;
    let groups = match name {
        Some(name) => vec![find(&client, name)?.0],
        None => (0..client.groups.len() as u32).collect(),
    };
    for group in groups {
        client.ask(Kind::Revoke, group, &[])?;
    }
    Ok(0)
}

/// Arms the axes by the command of one of them, `name` or the first.
pub(crate) fn arm(socket: Option<&Path>, name: Option<&str>) -> Result<u8, Failure> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => first(&Client::connect(socket)?)?,
    };
    let mut axis = Axis::claim(socket, &name)?;
    if axis.statusword()? & status::VOLTAGE_ENABLED != 0 {
        print("the axes are armed already\n")?;
        return axis.give_up();
    }
    if axis.reset(|word| word & status::VOLTAGE_ENABLED != 0)? {
        print("the axes are armed\n")?;
        return axis.give_up();
    }
    Err(axis.client.failed(
        "the axes were not armed: is the emergency stop released, is the cause of every fault gone, and does the board file have [safety] arm = \"on-command\" or rearm = \"on-command\"?"
            .to_owned(),
    ))
}

/// Resets the fault of the axis.
pub(crate) fn reset(socket: Option<&Path>, name: &str) -> Result<u8, Failure> {
    let mut axis = Axis::claim(socket, name)?;
    match axis.reset(|word| word & status::FAULT == 0)? {
        true => axis.give_up(),
        false => Err(axis.faulted()),
    }
}
