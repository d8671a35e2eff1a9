//! The engines that are compared.

#[cfg(feature = "peers")]
pub mod armdb;
#[cfg(feature = "peers")]
pub mod fjall;
#[cfg(feature = "peers")]
pub mod redb;
pub mod slotcask;
