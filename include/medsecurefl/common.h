/* Macros that every public header uses. Layer: base. */
#ifndef MEDSECUREFL_COMMON_H
#define MEDSECUREFL_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define MSFL_BEGIN_DECLS extern "C" {
#define MSFL_END_DECLS   }
#else
#define MSFL_BEGIN_DECLS
#define MSFL_END_DECLS
#endif

/** Exported from the shared libraries; everything else is hidden. */
#define MSFL_API __attribute__((visibility("default")))
/** The caller must look at the result. */
#define MSFL_NODISCARD __attribute__((warn_unused_result))
/** printf-style checking: index of the format, index of the first argument. */
#define MSFL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define MSFL_VERSION            "0.1.0"

MSFL_BEGIN_DECLS
/** MSFL_VERSION of the library that is loaded; static storage. */
MSFL_API const char *msfl_version(void);
MSFL_END_DECLS

/** Length in bytes of every hash, round id and seed in this library. */
#define MSFL_HASH_BYTES 32

#endif
