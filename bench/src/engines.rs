//! The engines that are compared.

#[cfg(feature = "peers")]
pub mod armdb;
#[cfg(feature = "peers")]
pub mod armdb_var;
#[cfg(feature = "peers")]
pub mod fjall;
#[cfg(feature = "peers")]
pub mod fjall_var;
#[cfg(feature = "peers")]
pub mod redb;
#[cfg(feature = "peers")]
pub mod redb_var;
pub mod slotcask;
pub mod slotcask_cask;
pub mod slotcask_ordered;
