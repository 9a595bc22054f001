//! Which filesystems can hold a database.

use std::path::Path;

/// The name of a network filesystem, by the type that `statfs` reports; `None` for all others.
///
/// `SQLite`'s write-ahead log needs shared memory and locks that hold among all who have the file open. Network filesystems
/// give neither across machines, and two servers on one file would then corrupt it. FUSE is not refused: it says nothing
/// about what is behind it, and much of it is local.
pub fn network_filesystem(f_type: i64) -> Option<&'static str> {
    // Some platforms report the type as a signed 32-bit number.
    match f_type & 0xFFFF_FFFF {
        0x6969 => Some("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB/CIFS"),
        0x5346_414F | 0x6B41_4653 => Some("AFS"),
        0x00C3_6400 => Some("Ceph"),
        0x0102_1997 => Some("9P"),
        0x0BD0_0BD0 => Some("Lustre"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636F => Some("OCFS2"),
        0x7375_7245 => Some("Coda"),
        _ => None,
    }
}

/// The network filesystem that `path` (which exists) lies on, if it does.
#[cfg(target_os = "linux")]
pub(crate) fn network_filesystem_of(path: &Path) -> std::io::Result<Option<&'static str>> {
    /// The type's width differs between platforms.
    fn widen(f_type: impl TryInto<i64>) -> i64 {
        f_type.try_into().unwrap_or_default()
    }
    Ok(network_filesystem(widen(rustix::fs::statfs(path)?.f_type)))
}

/// Only Linux numbers its filesystems so that they can be told apart.
#[cfg(not(target_os = "linux"))]
pub(crate) fn network_filesystem_of(_path: &Path) -> std::io::Result<Option<&'static str>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_told_from_local_ones() {
        for (f_type, name) in [
            (0x6969, Some("NFS")),
            (0xFF53_4D42, Some("SMB/CIFS")),
            (i64::from(0xFF53_4D42_u32.cast_signed()), Some("SMB/CIFS")),
            (0xFE53_4D42, Some("SMB/CIFS")),
            (0x517B, Some("SMB/CIFS")),
            (0x0102_1997, Some("9P")),
            (0x00C3_6400, Some("Ceph")),
            (0x5346_414F, Some("AFS")),
            (0xEF53, None),      // ext4
            (0x5846_5342, None), // XFS
            (0x9123_683E, None), // btrfs
            (0x0102_1994, None), // tmpfs
            (0x794C_7630, None), // overlayfs, as in containers
            (0x6573_5546, None), // FUSE
        ] {
            assert_eq!(network_filesystem(f_type), name, "{f_type:#x}");
        }
    }

    #[test]
    fn the_temporary_directory_is_asked() {
        assert!(network_filesystem_of(&std::env::temp_dir()).is_ok());
    }
}
