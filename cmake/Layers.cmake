# The include arrows of the house, held by the build.
#
#   msfl_layer(<name> SOURCES a.c ... [PUBLIC_HEADERS x.h ...] [USES layer ...] [LIBS target ...])
#
# A layer sees its own folder as "<name>/file.h", its own public headers as "medsecurefl/x.h", and those of the layers
# it uses, carried through. Nothing else is on its include path, so an upward include does not compile.
# Third-party libraries named in LIBS are seen by this layer's sources alone.
function(msfl_layer name)
  cmake_parse_arguments(L "" "" "SOURCES;PUBLIC_HEADERS;USES;LIBS" ${ARGN})
  set(view ${CMAKE_BINARY_DIR}/include-views/${name})
  file(MAKE_DIRECTORY ${view}/medsecurefl)
  if(NOT IS_SYMLINK ${view}/${name})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${view}/${name} SYMBOLIC)
  endif()
  foreach(header ${L_PUBLIC_HEADERS})
    if(NOT EXISTS ${CMAKE_SOURCE_DIR}/include/medsecurefl/${header})
      message(FATAL_ERROR "layer ${name}: include/medsecurefl/${header} does not exist")
    endif()
    if(NOT IS_SYMLINK ${view}/medsecurefl/${header})
      file(CREATE_LINK ${CMAKE_SOURCE_DIR}/include/medsecurefl/${header} ${view}/medsecurefl/${header} SYMBOLIC)
    endif()
  endforeach()
  add_library(msfl_${name} STATIC ${L_SOURCES})
  target_include_directories(msfl_${name} PUBLIC ${view})
  target_link_libraries(msfl_${name} PUBLIC msfl_compile PRIVATE ${L_LIBS})
  set_property(TARGET msfl_${name} PROPERTY MSFL_LIBS ${L_LIBS})
  foreach(layer ${L_USES})
    target_link_libraries(msfl_${name} PUBLIC msfl_${layer})
  endforeach()
endfunction()

# msfl_pkg(<target> <pkg-config module>): an imported target for a Debian library.
macro(msfl_pkg target module)
  pkg_check_modules(${target} REQUIRED IMPORTED_TARGET GLOBAL ${module})
endmacro()
msfl_pkg(SODIUM libsodium)
msfl_pkg(CRYPTO libcrypto)
msfl_pkg(GMP gmp)
msfl_pkg(JANSSON jansson)
msfl_pkg(FYAML libfyaml)
msfl_pkg(PNG libpng)
msfl_pkg(JPEG libjpeg)
msfl_pkg(ZIP libzip)
msfl_pkg(ZLIB zlib)
