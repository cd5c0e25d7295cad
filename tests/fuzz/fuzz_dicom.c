/* layer: image */
/* Whole DICOM files through the child process: whatever the libraries in it do, this process lives, and memory stays
 * within what the file can justify. The fuzzer sees no coverage of the child and mutates blindly; what it watches is
 * this side. */
#include "base/mem.h"
#include "image/dicom.h"
#include "image/fault.h"

#include <stdlib.h>

/* DCMTK allocates by the length that an element claims; that fails in the child by its limit, which sanitizers do not
 * have. Without this one libFuzzer ends the child by a limit of its own, over which it takes seconds, and leaves an
 * empty file that looks like a finding. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:max_allocation_size_mb=512";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    msfl_dicom dicom;
    msfl_image image = {0};
    msfl_fault_forget();
    msfl_alloc_peak_restart();
    msfl_status status = msfl_dicom_read("fuzz", data, size, false, &dicom, &image);
    if (msfl_alloc_bytes_peak() > msfl_dicom_bytes_max(size) + (1 << 20)) abort();
    if (status == MSFL_ERR_SYSTEM || (status != MSFL_OK && image.samples != NULL)) abort();
    if (status == MSFL_OK && image.samples == NULL) abort();
    if (msfl_fault_name(status)[0] == 0) abort();
    msfl_image_clear(&image);
    return 0;
}
