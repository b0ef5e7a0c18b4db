//! The module's memory, read and written for host functions.
//!
//! Owns bounds: an address outside is a status, never a panic.

use wasmtime::{AsContextMut as _, Caller};

use super::state::State;
use super::status::{Refusal, Status};

/// A module in the middle of a call to the host.
pub(crate) struct Guest<'a, 'c> {
    caller: &'a mut Caller<'c, State>,
}

/// An address or a length of the module.
pub(crate) const fn index(number: i32) -> usize {
    number.cast_unsigned() as usize
}

impl<'a, 'c> Guest<'a, 'c> {
    pub(crate) const fn new(caller: &'a mut Caller<'c, State>) -> Self {
        Self { caller }
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    /// The bytes at an address, beside the state, so that nothing need be copied.
    pub(crate) fn bytes(
        &mut self,
        address: i32,
        length: i32,
    ) -> Result<(&[u8], &mut State), Status> {
        let memory = self.caller.data().memory.ok_or(Status::InvalidMemoryAccess)?;
        let (data, state) = memory.data_and_store_mut(self.caller.as_context_mut());
        let end = index(address).checked_add(index(length)).ok_or(Status::InvalidMemoryAccess)?;
        let bytes = data.get(index(address)..end).ok_or(Status::InvalidMemoryAccess)?;
        Ok((bytes, state))
    }

    pub(crate) fn copy(&mut self, address: i32, length: i32) -> Result<Vec<u8>, Status> {
        self.bytes(address, length).map(|(bytes, _)| bytes.to_vec())
    }

    pub(crate) fn write(&mut self, address: i32, bytes: &[u8]) -> Result<(), Status> {
        let memory = self.caller.data().memory.ok_or(Status::InvalidMemoryAccess)?;
        memory
            .write(self.caller.as_context_mut(), index(address), bytes)
            .map_err(|_| Status::InvalidMemoryAccess)
    }

    pub(crate) fn write_u32(&mut self, address: i32, number: u32) -> Result<(), Status> {
        self.write(address, &number.to_le_bytes())
    }

    pub(crate) fn write_length(&mut self, address: i32, length: usize) -> Result<(), Status> {
        self.write_u32(address, u32::try_from(length).map_err(|_| Status::InvalidMemoryAccess)?)
    }

    /// Gives the module bytes of its own: allocates there, copies, and writes address and length.
    /// Nothing is allocated for nothing; the address is then 0.
    pub(crate) fn give(
        &mut self,
        bytes: &[u8],
        address_at: i32,
        length_at: i32,
    ) -> Result<(), Refusal> {
        let mut address = 0;
        if !bytes.is_empty() {
            let length = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
            let allocate =
                self.caller.data().allocate.clone().ok_or(Status::InvalidMemoryAccess)?;
            address = allocate.call(self.caller.as_context_mut(), length)?.cast_signed();
            if address == 0 {
                return Err(Status::InvalidMemoryAccess.into());
            }
            self.write(address, bytes)?;
        }
        self.write_u32(address_at, address.cast_unsigned())?;
        self.write_length(length_at, bytes.len())?;
        Ok(())
    }
}
