/* layer: image */
/* What runs in the child, in this process: so that the sanitizers see our half of it, and coverage guides the way. A
 * fault inside DCMTK or OpenJPEG would show here too; it is one that the child exists for. */
#include "image/dcmtk.h"
#include "image/dicom_child.h"

#include <fcntl.h>
#include <stdlib.h>

/* DCMTK allocates by the length that an element claims; in the child that fails by its limit, here by this one. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:max_allocation_size_mb=512";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int nowhere = -1;
    if (nowhere < 0) {
        nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere < 0 || !msfl_dcmtk_start()) abort();
    }
    msfl_dicom_job job = {data, size, false};
    msfl_dicom_child(&job, nowhere);
    return 0;
}
