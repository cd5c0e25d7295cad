/* The files of the page, as the build has put them into the program (cmake/Embed.cmake). */
#ifndef MSFL_DASHBOARD_ASSETS_H
#define MSFL_DASHBOARD_ASSETS_H

#include <stddef.h>
#include <stdint.h>

typedef struct dashboard_asset {
    const char *path; /**< as a route's pattern */
    const char *type; /**< Content-Type */
    const char *etag; /**< with its quotes: first digits of the SHA-256 of the bytes */
    const uint8_t *bytes;
    size_t length;
} dashboard_asset;

enum { DASHBOARD_ASSETS = 5 };
extern const dashboard_asset dashboard_assets[DASHBOARD_ASSETS];

#endif
