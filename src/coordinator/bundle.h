/* A folder as one file for a download: ZIP, stored, the same bytes for the same content. */
#ifndef MSFL_COORDINATOR_BUNDLE_H
#define MSFL_COORDINATOR_BUNDLE_H

#include "medsecurefl/status.h"

enum { COORD_BUNDLE_FILES_MAX = 65000, COORD_BUNDLE_ETAG = 40 };

/**
 * All files of `folder` (not of folders in it, nor what interrupted writes left) in an open file without a name, which
 * the caller closes. `etag` holds COORD_BUNDLE_ETAG and follows from the bytes.
 * @retval MSFL_ERR_LIMIT  more files, or more bytes, than the format holds without its 64-bit fields
 */
msfl_status coord_bundle(const char *folder, int *fd, uint64_t *length, char *etag) MSFL_NODISCARD;

#endif
