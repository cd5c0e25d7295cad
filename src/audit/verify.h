/* The verification of a folder wherever it lies. */
#ifndef MSFL_AUDIT_VERIFY_H
#define MSFL_AUDIT_VERIFY_H

#include "audit/folder.h"

/** As msfl_audit_verify; `options->kit` is not looked at. */
msfl_status audit_verify_folder(const audit_folder *folder, const msfl_audit_options *options, const char *federation,
                                msfl_audit **out) MSFL_NODISCARD;

#endif
