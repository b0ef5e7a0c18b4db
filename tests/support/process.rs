//! What another process has used, as Linux counts it.

use std::fs;

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Ticks of the processor, of which there are a hundred in a second.
    #[allow(dead_code, reason = "only the benchmark asks for it")]
    pub(crate) fn ticks(self) -> u64 {
        let stat = self.read("stat");
        // The name, in brackets, may hold anything.
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
        ticks(11) + ticks(12)
    }

    /// Bytes in memory now.
    pub(crate) fn memory(self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most bytes that were in memory since [`Self::forget_peak`].
    pub(crate) fn peak(self) -> u64 {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").expect("a process of our own");
    }

    fn status(self, name: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
        let kibibytes = line.trim().trim_end_matches(" kB").trim();
        kibibytes.parse::<u64>().expect("a number") * 1_024
    }

    fn read(self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.0)).expect("a process that runs")
    }
}
