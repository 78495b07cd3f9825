//! What of an import can be refused before anything is brought in.

use super::{ImportRequest, ImportSource, checksum::Checksum, download, inspect, refuse_taken};
use crate::{
    layers::{length, unreadable},
    storage::{Shared, Storage},
};
use innkeeper_model::{DiskFormat, ImageKind, Refusal};
use std::{fs::File, path::Path};

impl Storage {
    /// Refuses an import that could only fail: for its name, for what goes with what, for a file that
    /// is not there, may not be read or is no image of its kind, for an address that is none. Nothing
    /// is brought in, and no other host is asked; what counts in the end is the import's own look.
    /// Blocks for a look at the beginning of a file.
    ///
    /// # Errors
    /// As [`Storage::import`].
    pub fn check_import(&self, request: &ImportRequest) -> Result<(), Refusal> {
        let shared = &self.shared;
        request.fits_together()?;
        refuse_taken(shared, &request.name)?;
        let confined = request.source.is_confined();
        match &request.source {
            ImportSource::File(path) | ImportSource::AllowedFile(path) => {
                shared.check_file(path, confined, "path", Some(request))?;
            }
            ImportSource::Url { url, checksum } => {
                checksum.parse::<Checksum>()?;
                download::check_address(url.expose().unwrap_or_default(), &shared.options.http)?;
            }
            ImportSource::Disk { disk, .. } => shared.check_disk_source(disk)?,
            ImportSource::Upload { sha256 } => {
                let part = shared.part(&request.name, &sha256.parse()?);
                if !part.exists() {
                    return Err(Refusal::not_found("upload", &request.name));
                }
                let file = File::open(&part).map_err(|error| unreadable(&part, error))?;
                inspect(shared, request, &file)?;
            }
        }
        match &request.initrd {
            Some(initrd) => shared.check_file(initrd, confined, "initrd", None),
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Looks at a file that is to be brought in; for what `request` says it is, if that is given.
    fn check_file(
        &self,
        path: &Path,
        confined: bool,
        field: &str,
        request: Option<&ImportRequest>,
    ) -> Result<(), Refusal> {
        let file = self.open_source(path, confined, field)?;
        if let Some(request) = request {
            inspect(self, request, &file)?;
        }
        let length = length(&file).map_err(|error| unreadable(path, error))?;
        self.refuse_too_large(length, field, path)
    }
}

impl ImportRequest {
    /// Refuses what goes with another kind of image only, and paths that mean something else to
    /// whoever asks.
    pub(super) fn fits_together(&self) -> Result<(), Refusal> {
        let source = match &self.source {
            ImportSource::File(path) | ImportSource::AllowedFile(path) => Some(("path", path)),
            ImportSource::Url { .. } | ImportSource::Disk { .. } | ImportSource::Upload { .. } => {
                None
            }
        };
        let initrd = self.initrd.as_ref().map(|path| ("initrd", path));
        if let Some((field, path)) =
            source.into_iter().chain(initrd).find(|(_, p)| !p.is_absolute())
        {
            return Err(Refusal::invalid(field, path.display(), "is not an absolute path"));
        }
        if matches!(self.source, ImportSource::Disk { .. }) {
            if self.kind != ImageKind::Disk {
                let kind = format!("{:?}", self.kind).to_lowercase();
                return Err(Refusal::invalid(
                    "kind",
                    kind,
                    "is not what comes of a disk: say disk",
                ));
            }
            if let Some(format @ DiskFormat::Qcow2) = self.format {
                let problem = "is not what an image of a VM's disk is stored as: it is raw";
                return Err(Refusal::invalid("format", format, problem));
            }
        }
        if let (Some(format), ImageKind::Kernel | ImageKind::Iso) = (self.format, self.kind) {
            let problem = "goes with disks only";
            return Err(Refusal::invalid("format", format, problem));
        }
        if let (Some(initrd), ImageKind::Disk | ImageKind::Iso) = (&self.initrd, self.kind) {
            let problem = "goes with kernels only";
            return Err(Refusal::invalid("initrd", initrd.display(), problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StorageOptions;
    use innkeeper_model::{ByteSize, Code, ImageName};
    use std::{fs, path::PathBuf};

    struct Fixture {
        folder: tempfile::TempDir,
        storage: Storage,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("allowed")).unwrap();
            let mut options = StorageOptions::new(folder.path().join("pool"));
            options.max_import_size = ByteSize(4096);
            options.allowed_paths.push(folder.path().join("allowed"));
            Self { storage: Storage::open(options).unwrap(), folder }
        }

        fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        }

        #[track_caller]
        fn check(&self, request: ImportRequest, field: &str) {
            let refusal = self.storage.check_import(&request).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some(field), "{refusal:?}");
            let entries = fs::read_dir(self.folder.path().join("pool/images")).unwrap();
            assert_eq!(entries.count(), 0, "something was made");
        }
    }

    fn disk(source: ImportSource) -> ImportRequest {
        let name: ImageName = "image".parse().unwrap();
        ImportRequest { name, kind: ImageKind::Disk, source, format: None, initrd: None }
    }

    fn url(url: &str, checksum: &str) -> ImportRequest {
        let url = innkeeper_model::Secret::new(url);
        disk(ImportSource::Url { url, checksum: checksum.into() })
    }

    #[test]
    fn a_file_that_cannot_be_imported_is_refused_before_it_is_copied() {
        let fixture = Fixture::new();
        let sector = fixture.file("sector", &[1; 512]);
        let file = |path: &Path| disk(ImportSource::File(path.into()));
        fixture.storage.check_import(&file(&sector)).unwrap();
        fixture.check(file(Path::new("/nowhere/disk")), "path");
        fixture.check(file(Path::new("Cargo.toml")), "path");
        fixture.check(file(fixture.folder.path()), "path");
        fixture.check(file(&fixture.file("vmdk", b"KDMV....")), "path");
        fixture.check(file(&fixture.file("large", &[1; 8192])), "path");
        fixture.check(ImportRequest { kind: ImageKind::Kernel, ..file(&sector) }, "path");
        fixture.check(ImportRequest { kind: ImageKind::Iso, ..file(&sector) }, "path");
        let raw = Some(DiskFormat::Raw);
        let iso = ImportRequest { kind: ImageKind::Iso, format: raw, ..file(&sector) };
        fixture.check(iso, "format");
        fixture.check(ImportRequest { initrd: Some(sector.clone()), ..file(&sector) }, "initrd");
        // Where only some folders are allowed.
        let confined = |path: &Path| disk(ImportSource::AllowedFile(path.into()));
        fixture.check(confined(&sector), "path");
        let inside = fixture.file("allowed/disk", &[1; 512]);
        fixture.storage.check_import(&confined(&inside)).unwrap();
        let outside = fixture.folder.path().join("allowed/link");
        std::os::unix::fs::symlink(&sector, &outside).unwrap();
        fixture.check(confined(&outside), "path");
    }

    #[test]
    fn the_initrd_of_a_kernel_must_be_there() {
        let fixture = Fixture::new();
        let mut kernel = vec![0; 4096];
        kernel[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
        kernel[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
        kernel[0x211] = 1;
        let kernel = fixture.file("kernel", &kernel);
        let initrd = fixture.file("initrd", b"070701");
        let with = |initrd: &Path| ImportRequest {
            kind: ImageKind::Kernel,
            initrd: Some(initrd.into()),
            ..disk(ImportSource::File(kernel.clone()))
        };
        fixture.storage.check_import(&with(&initrd)).unwrap();
        fixture.check(with(Path::new("/nowhere/initrd")), "initrd");
    }

    #[test]
    fn an_address_that_is_none_is_refused_before_anybody_is_asked() {
        let fixture = Fixture::new();
        let digest = format!("sha256:{}", "a".repeat(64));
        fixture.storage.check_import(&url("https://example.org/disk", &digest)).unwrap();
        fixture.check(url("https://example.org/disk", "sha256:abc"), "checksum");
        for address in [
            "ftp://example.org/disk",
            "file:///etc/shadow",
            "example.org/disk",
            "https://",
            "https://user:word@example.org/disk",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/disk",
            "http://2130706433/",
        ] {
            fixture.check(url(address, &digest), "url");
        }
    }

    #[test]
    fn a_name_that_is_taken_is_refused() {
        let fixture = Fixture::new();
        fs::create_dir(fixture.folder.path().join("pool/images/image")).unwrap();
        let request = disk(ImportSource::File(fixture.file("sector", &[1; 512])));
        assert_eq!(fixture.storage.check_import(&request).unwrap_err().code, Code::NameTaken);
    }
}
