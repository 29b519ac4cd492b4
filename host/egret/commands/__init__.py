"""The commands of `egret`, one file each."""
