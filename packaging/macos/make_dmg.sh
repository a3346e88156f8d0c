#!/bin/bash
# The disk image for macOS, from what PyInstaller made of packaging/frozen/g2g.spec:
#
#   packaging/macos/make_dmg.sh VERSION
#
# Signing: without the variables below the program is signed for this computer only ("-"), and on
# another one the user has to allow it once in System Settings > Privacy & Security. With an Apple
# developer account set
#   SIGN_AS="Developer ID Application: NAME (TEAM)"
#   NOTARY_PROFILE=what `xcrun notarytool store-credentials` was told
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1:?give the version}
app="dist/g2g desktop.app"
image="dist/g2g-desktop-$version-macos-$(uname -m).dmg"

stamp=--timestamp
[ -n "${SIGN_AS:-}" ] || stamp=--timestamp=none
codesign --force --deep --options runtime "$stamp" \
  --entitlements packaging/macos/entitlements.plist --sign "${SIGN_AS:--}" "$app"
codesign --verify --deep --strict "$app"

staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
cp -R "$app" "$staged/"
cp LICENSE "$staged/"
ln -s /Applications "$staged/Applications"
hdiutil create -volname "g2g desktop" -srcfolder "$staged" -ov -format UDZO "$image"

if [ -n "${NOTARY_PROFILE:-}" ]; then
  codesign --sign "$SIGN_AS" --timestamp "$image"
  xcrun notarytool submit "$image" --keychain-profile "$NOTARY_PROFILE" --wait
  xcrun stapler staple "$image"
fi
echo "$image"
