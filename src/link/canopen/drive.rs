//! What the protocol needs of the machine.
//!
//! Values are `f64` in SI units: rad, rad/s, rad/s², s; words and codes are their number.

/// A value of one axis, by its object of CiA 402.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// 6040h, 0 to 65535. A command.
    Controlword,
    /// 6060h, -128 to 127. A command.
    Mode,
    /// 607Ah with 60B0h added in csp, rad. A command.
    TargetPosition,
    /// 60FFh with 60B1h added in csv, rad/s. A command.
    TargetVelocity,
    /// 603Fh: the code of the last fault; 0 for none.
    ErrorCode,
    /// 6041h.
    Statusword,
    /// 6061h.
    ModeDisplay,
    /// 6062h: the setpoint, rad.
    Setpoint,
    /// 6064h, rad.
    Position,
    /// 606Bh: velocity of the setpoint, rad/s.
    SetpointVelocity,
    /// 606Ch, rad/s.
    Velocity,
    /// 60F4h, rad.
    FollowingError,
    /// 60FDh: bit 0 negative limit switch, bit 1 positive limit switch, bit 2 home switch.
    DigitalInputs,
    /// 6502h.
    SupportedModes,
    /// 6007h.
    AbortOption,
    /// 605Ah.
    QuickStopOption,
    /// 605Bh.
    ShutdownOption,
    /// 605Ch.
    DisableOption,
    /// 605Dh.
    HaltOption,
    /// 605Eh.
    FaultOption,
    /// 6065h, rad.
    FollowingErrorWindow,
    /// 6066h, s.
    FollowingErrorTime,
    /// 6067h, rad.
    PositionWindow,
    /// 6068h, s.
    PositionWindowTime,
    /// 607Ch, rad.
    HomeOffset,
    /// 607Dh:1, rad.
    MinPosition,
    /// 607Dh:2, rad.
    MaxPosition,
    /// 607Fh, rad/s.
    MaxProfileVelocity,
    /// 6081h, rad/s.
    ProfileVelocity,
    /// 6083h, rad/s².
    ProfileAcceleration,
    /// 6084h, rad/s².
    ProfileDeceleration,
    /// 6085h, rad/s².
    QuickStopDeceleration,
    /// 6098h.
    HomingMethod,
    /// 6099h:1, rad/s.
    HomingSwitchSpeed,
    /// 6099h:2, rad/s.
    HomingZeroSpeed,
    /// 609Ah, rad/s².
    HomingAcceleration,
    /// 60C2h, s.
    InterpolationPeriod,
    /// 60F2h.
    PositioningOption,
}

/// Why the machine refuses a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Another link commands the axis.
    Owner,
    /// Not in the present state, for example storing while an axis has power.
    State,
    /// Above the limit.
    TooHigh,
    /// Below the limit.
    TooLow,
    /// Not one of the possible values.
    Value,
    /// Contradicts another parameter.
    Conflict,
    /// Cannot be changed on this machine.
    ReadOnly,
    /// There is no value yet.
    NoData,
    /// A file or device failed.
    Failed,
    /// This machine does not store parameters.
    NotStored,
}

/// Why commands from the bus are no longer valid.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// A consumed heartbeat (1016h) did not come.
    Heartbeat,
    /// SYNC did not come.
    Sync,
    /// An RPDO did not come within its event timer.
    Rpdo,
    /// The CAN controller is bus-off, or the interface is down.
    Bus,
    /// NMT stopped the node or reset it.
    Stopped,
}

/// What the targets of an axis follow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Nothing: they come when the master sends them.
    Free,
    /// SYNC, which has just come.
    Sync,
    /// SYNC, which is missing for so long that the axis holds.
    Hold,
}

/// What has become of a reset of the application.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reset {
    /// The parameters have their values at power-on.
    Done,
    /// An axis is still being stopped.
    Waits,
    /// An axis has power and keeps it: nothing was changed.
    Refused,
}

/// A stored communication parameter: index, sub-index, value.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Saved {
    /// Index of the object.
    pub index: u16,
    /// Sub-index of the object.
    pub sub: u8,
    /// The value, in the lower bytes.
    pub value: u32,
}

/// The axes behind a node. `axis` counts from 0 and is below [`Drive::axes`].
pub trait Drive {
    /// Number of axes; the node uses the first [`MAX_AXES`](super::MAX_AXES).
    fn axes(&self) -> usize;

    /// The value of `item`.
    ///
    /// # Errors
    /// Why there is no value.
    fn get(&self, axis: usize, item: Item) -> Result<f64, Refusal>;

    /// Commands `item`, or changes a parameter.
    ///
    /// # Errors
    /// Why it was not done; nothing has changed.
    fn set(&mut self, axis: usize, item: Item, value: f64) -> Result<(), Refusal>;

    /// Whether the machine has taken the last controlword that was set. An SDO download is
    /// confirmed only then: its client may write the next one at once, and the machine, which
    /// sees only the newest, would miss an edge.
    fn is_taken(&self) -> bool;

    /// The machine has not taken a command for `axis` in time, and the client was told so: it must
    /// not take it later.
    fn withdraw(&mut self, axis: usize);

    /// The commands of the bus for `axis` are still valid. Called in each poll while the master
    /// is supervised without a loss.
    fn alive(&mut self, axis: usize);

    /// What the targets of `axis` follow from now on. Called with each SYNC after its values; an
    /// axis without a synchronous RPDO follows nothing.
    fn pace(&mut self, axis: usize, pace: Pace);

    /// The commands of the bus for `axis` are no longer valid. Called once for each loss.
    fn lost(&mut self, axis: usize, loss: Loss);

    /// Begins to store the machine's parameters and the communication parameters of the node with this id,
    /// which `next` gives one after the other.
    ///
    /// # Errors
    /// Why it was not done; what was stored before is unchanged. [`Refusal::State`] also if the next
    /// start has another node id, since the COB-IDs belong to it.
    fn store(
        &mut self,
        node_id: u8,
        next: &mut dyn FnMut() -> Option<Saved>,
    ) -> Result<(), Refusal>;

    /// Begins to make the next start use the defaults.
    ///
    /// # Errors
    /// Why it was not done; what was stored before is unchanged.
    fn restore(&mut self) -> Result<(), Refusal>;

    /// Begins to make the next start use this node id.
    ///
    /// # Errors
    /// Why it was not done; what was stored before is unchanged.
    fn keep_node_id(&mut self, node_id: u8) -> Result<(), Refusal>;

    /// NMT, reset node: the parameters of the axes go back to their values at power-on, when no axis
    /// has power. Called until it does not wait any more, after [`Drive::lost`] for each axis.
    fn reset(&mut self) -> Reset;

    /// What has become of the last of [`Drive::store`], [`Drive::restore`] and
    /// [`Drive::keep_node_id`], once; `None` while the disk has not taken it.
    fn stored(&mut self) -> Option<Result<(), Refusal>>;

    /// The stored communication parameter `number` of the node with this id, counted from 0; `None`
    /// after the last.
    fn saved(&self, node_id: u8, number: usize) -> Option<Saved>;
}
