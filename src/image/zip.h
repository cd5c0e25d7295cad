/* Shim for libzip: reads archives that numpy writes (stored or deflated entries), never trusting their directory. */
#ifndef MSFL_IMAGE_ZIP_H
#define MSFL_IMAGE_ZIP_H

#include "medsecurefl/status.h"

enum { MSFL_ZIP_ENTRIES_MAX = 4096 };
/** Of one entry, unpacked. */
#define MSFL_ZIP_BYTES_MAX ((uint64_t)64 << 30)

typedef struct msfl_zip msfl_zip;
typedef struct msfl_zip_entry msfl_zip_entry;

/**
 * Open an archive from a file. Refused: not a zip archive, an entry that is encrypted or uses another compression than
 * store and deflate, and a directory that lies: packed sizes that exceed the file together, a stored entry with two
 * sizes, an unpacked size that deflate (at most 1032 to 1) cannot reach or that is above MSFL_ZIP_BYTES_MAX.
 * So the unpacked size of an entry is justified by bytes that are really there before anyone allocates by it.
 */
msfl_status msfl_zip_open(const char *path, msfl_zip **out) MSFL_NODISCARD;
/** As msfl_zip_open, for bytes in memory, which must outlive `*out`; `name` stands in the messages. */
msfl_status msfl_zip_open_bytes(const char *name, const uint8_t *bytes, size_t length, msfl_zip **out) MSFL_NODISCARD;
void msfl_zip_free(msfl_zip *zip);

size_t msfl_zip_n(const msfl_zip *zip);
const char *msfl_zip_name(const msfl_zip *zip, size_t index);
uint64_t msfl_zip_bytes(const msfl_zip *zip, size_t index);

/** Begin to unpack an entry. One thread at a time per archive. */
msfl_status msfl_zip_entry_open(msfl_zip *zip, size_t index, msfl_zip_entry **out) MSFL_NODISCARD;
/** The next `length` bytes; ERR_FORMAT when the entry ends before, or is damaged. */
msfl_status msfl_zip_entry_read(msfl_zip_entry *entry, void *out, size_t length) MSFL_NODISCARD;
/** ERR_FORMAT unless the entry ends here and its checksum holds. */
msfl_status msfl_zip_entry_end(msfl_zip_entry *entry) MSFL_NODISCARD;
void msfl_zip_entry_close(msfl_zip_entry *entry);

#endif
