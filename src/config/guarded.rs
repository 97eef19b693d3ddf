//! The channels that laws need for safety.

/// Channels of the process image that laws with tables of their own need for safety, one bit
/// each.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// Digital inputs: emergency stop, reset, switches of axes.
    pub inputs: u32,
    /// That of them which is the emergency stop.
    pub stop: u32,
    /// Digital outputs: enable, brake, heartbeat.
    pub outputs: u32,
    /// Those of them that give power: enable.
    pub power: u32,
    /// Angles: the feedback of axes.
    pub angles: u32,
    /// Commanded numbers: the voltages of axes. They are not forced while an axis has power.
    pub volts: u64,
}
