; Inno Setup 6 script: the installer for Windows, from what PyInstaller made of packaging/frozen/g2g.spec.
;
;   iscc /DVersion=0.1.0 packaging\windows\g2g-desktop.iss
;
; Signing: without a certificate SmartScreen warns on the first start. With one, give iscc
; /Ssigntool="signtool sign /fd sha256 /tr http://timestamp.digicert.com /td sha256 $f" and /DSigned;
; sign dist\g2g-desktop\g2g-desktop.exe and g2g.exe with the same command before that.

#ifndef Version
  #error Give the version: iscc /DVersion=X.Y.Z
#endif
#define Root AddBackslash(SourcePath) + "..\.."

[Setup]
AppId={{5B0B6C61-2C0D-4E0B-9F0C-6D2B1A7E4C92}
AppName=g2g desktop
AppVersion={#Version}
AppPublisher=the g2g desktop authors
DefaultDirName={autopf}\g2g desktop
DefaultGroupName=g2g desktop
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
ChangesAssociations=yes
ChangesEnvironment=yes
LicenseFile={#Root}\LICENSE
SetupIconFile={#Root}\build\g2g.ico
OutputDir={#Root}\dist
OutputBaseFilename=g2g-desktop-{#Version}-windows-x86_64
Compression=lzma2
SolidCompression=yes
#ifdef Signed
SignTool=signtool
#endif

[Tasks]
Name: "path"; Description: "Add the command g2g to the path"; Flags: unchecked
Name: "desktopicon"; Description: "Put an icon on the desktop"; Flags: unchecked

[Files]
Source: "{#Root}\dist\g2g-desktop\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[Icons]
Name: "{group}\g2g desktop"; Filename: "{app}\g2g-desktop.exe"
Name: "{autodesktop}\g2g desktop"; Filename: "{app}\g2g-desktop.exe"; Tasks: desktopicon

[Registry]
Root: HKA; Subkey: "Software\Classes\.g2g"; ValueType: string; ValueData: "g2g.denoiser"; Flags: uninsdeletevalue
Root: HKA; Subkey: "Software\Classes\g2g.denoiser"; ValueType: string; ValueData: "Denoiser of g2g desktop"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Classes\g2g.denoiser\DefaultIcon"; ValueType: string; ValueData: "{app}\g2g-desktop.exe,0"
Root: HKA; Subkey: "Software\Classes\g2g.denoiser\shell\open\command"; ValueType: string; ValueData: """{app}\g2g-desktop.exe"" ""%1"""
Root: HKCU; Subkey: "Environment"; ValueType: expandsz; ValueName: "Path"; ValueData: "{olddata};{app}"; Tasks: path; Check: IsNotOnPath

[Run]
Filename: "{app}\g2g-desktop.exe"; Description: "Start g2g desktop"; Flags: nowait postinstall skipifsilent

[Code]
function IsNotOnPath: Boolean;
var
  Known: string;
begin
  if not RegQueryStringValue(HKCU, 'Environment', 'Path', Known) then
    Known := '';
  Result := Pos(';' + ExpandConstant('{app}') + ';', ';' + Known + ';') = 0;
end;
