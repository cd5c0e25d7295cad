# cmake --install build/release --prefix /usr/local: the program, its pages for man, the libraries with their headers, and what a
# machine that runs it needs beside it. The program holds everything it serves and prints (pages, the screen), so it can also be copied
# alone.
include(GNUInstallDirs)
install(TARGETS medsecurefl-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/cli/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(TARGETS medsecurefl-core medsecurefl LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/medsecurefl DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/deploy ${CMAKE_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/medsecurefl)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/medsecurefl-coordinator.service
  ${CMAKE_SOURCE_DIR}/deploy/systemd/medsecurefl-client.service ${CMAKE_SOURCE_DIR}/deploy/systemd/medsecurefl-authority.service
  DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/medsecurefl.sysusers DESTINATION lib/sysusers.d RENAME medsecurefl.conf)
